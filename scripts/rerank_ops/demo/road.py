"""The road: package → local AWS → cdk deploy → invoke → batch transform → down."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rerank_local import cdk, lifecycle
from rerank_local.state import Home, LocalAws
from rerank_ops import console, installation
from rerank_ops.aws import Aws
from rerank_ops.demo import report, steps
from rerank_ops.demo.data import passages, questions
from rerank_ops.progress import step

DEPLOYMENT = "sandbox"


def walk(*, keep: bool, as_json: bool = False) -> int:
    """Does every step, shows what it gives and how long it takes; as one JSON value on stdout if `as_json`.

    What it started it stops again, also after an error or a signal, unless `keep`; a local AWS that ran before is left
    running, without the demo's deployment.
    """
    installation.require("aws_cdk", "cdk_nag", "pydantic", *lifecycle.NEEDED)
    home = Home.of()
    seconds: dict[str, float] = {}
    with _signals_interrupt(), _down_at_the_end(home, seconds, keep=keep):
        bundle = home.folder.parent / "demo" / "model.tar.gz"
        with step("package the small demo model", seconds):
            meaningless = _package(bundle)
        with step("bring AWS up on this machine, cdk bootstrap", seconds):
            local = lifecycle.up(home, say=_say)
        with step(f"cdk deploy --all -c deployment={DEPLOYMENT}", seconds):
            outputs = cdk.deploy(DEPLOYMENT, bundle, local=local, say=_say)
        if not as_json:
            report.outputs(outputs)
        aws = Aws(local_env=local.env())
        with step("invoke the endpoint through boto3, once per question", seconds):
            asked = steps.ask(aws, DEPLOYMENT)
        if not as_json:
            report.rankings(questions(), asked, passages(), meaningless=meaningless)
        with step("batch transform: the same requests as a JSON Lines object in S3", seconds):
            written = steps.rerank_in_s3(aws, DEPLOYMENT, bundle.parent / "out")
        agreement = steps.agreement(asked, written)
        if not as_json:
            report.batch(written, agreement)
    if as_json:
        found = report.as_json(questions(), asked, passages(), meaningless=meaningless)
        job = {"lines": len(written), "largest_difference": agreement}
        console.emit({"seconds": seconds, "outputs": outputs, **found, "batch": job, "kept": keep})
    else:
        report.timings(seconds)
    console.talk(f"{report.KEPT if keep else report.NOT_KEPT}\n\n{report.ON_AN_ACCOUNT}")
    return 0


def _package(bundle: Path) -> bool:
    """Builds the bundle; whether its scores mean nothing, because its weights are random."""
    from rerank_bundle.build import build
    from rerank_bundle.source import resolve

    source = resolve("demo", revision=None, work=bundle.parent / "checkpoint", downloads=bundle.parent)
    built = build(source.folder, bundle, name=source.name, revision=source.revision, source_id=source.id)
    _say(f"{bundle.name}: {built.size:,} bytes, sha256 {built.sha256[:16]}…, {len(built.members)} members")
    return bool(built.manifest["model"]["meaningless_scores"])


@contextmanager
def _down_at_the_end(home: Home, seconds: dict[str, float], *, keep: bool) -> Iterator[None]:
    before = LocalAws.recorded(home)
    ran_before = before is not None and before.is_alive()
    try:
        yield
    except BaseException:
        if not ran_before:
            lifecycle.down(home, say=_say)
        raise
    if keep:
        return
    with step("take everything down", seconds):
        if ran_before:
            cdk.destroy(DEPLOYMENT, say=_say)
        else:
            lifecycle.down(home, say=_say)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: with everything taken down."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    if line.strip():
        print(f"   {line}", file=sys.stderr, flush=True)
