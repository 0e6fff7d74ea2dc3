"""Endpoints as processes: what they see, blue/green updates, failures with their reason, restarts, routing."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_local.data.container.container import Container
from rerank_local.data.container.leftovers import stop_leftovers
from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.errors import (
    ContainerFailed,
    ContainerUnavailable,
    EndpointBusy,
    EndpointNotInService,
    ModelDataFailed,
    UnknownEndpoint,
    UnknownVariant,
)

SERVER = Path(__file__).parent / "fake_container.py"


def post(fleet: EndpointFleet, body: bytes, variant: str | None = None) -> Any:
    with fleet.route("e", variant) as (_, container):
        return json.loads(container.request("POST", "/invocations", body, timeout_s=5.0).body.split(b"\n")[0])


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true within 10 s."""
    tick = threading.Event()
    return any(condition() or tick.wait(0.02) for _ in range(500))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_process_sees_the_models_environment_and_nothing_of_ours(
    fleet: EndpointFleet, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH, HOME, LANG, SAGEMAKER_* and the model's own variables: no credentials, no RERANK_* of the parent."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("RERANK_DEVICE", "cuda")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    fleet.start("e", [models.variant(RERANK_MAX_DOCUMENTS="7", SAGEMAKER_BIND_TO_PORT="1")])
    seen = post(fleet, b"env")

    assert {
        "FAKE_NAME", "HOME", "LANG", "PATH", "RERANK_BIND_HOST", "RERANK_MAX_DOCUMENTS", "SAGEMAKER_BASE_DIR",
        "SAGEMAKER_BIND_TO_PORT", "pid",
    } == set(seen) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}  # fmt: skip
    assert ("7", "127.0.0.1") == (seen["RERANK_MAX_DOCUMENTS"], seen["RERANK_BIND_HOST"])
    assert 20_000 <= int(seen["SAGEMAKER_BIND_TO_PORT"]) < 32_000
    assert seen["HOME"] == seen["SAGEMAKER_BASE_DIR"] != os.environ["HOME"]


def test_stopping_ends_the_process_and_forgets_the_endpoint(fleet: EndpointFleet, models: Any) -> None:
    """Nothing is left: no process, no status, and stopping again is fine."""
    fleet.start("e", [models.variant()])
    (variant,) = fleet.describe("e").variants
    fleet.stop("e")
    fleet.stop("e")

    assert not alive(variant.pid)
    assert (None, None, []) == (fleet.status("e"), fleet.describe("e"), fleet.names())
    with pytest.raises(UnknownEndpoint, match="Endpoint e of account 123456789012 not found"):
        post(fleet, b"x")


def test_an_update_swaps_once_the_new_process_is_healthy(fleet: EndpointFleet, models: Any) -> None:
    """Blue/green: the old one answers until then, and a request it has begun is finished before it ends."""
    fleet.start("e", [models.variant(FAKE_NAME="old")])
    old = fleet.describe("e").variants[0].pid
    answers: list[bytes] = []
    begun = threading.Event()

    def slow() -> None:
        with fleet.route("e") as (_, container):
            begun.set()
            answers.append(container.request("POST", "/invocations", b"slow:0.5", timeout_s=5.0).body)

    caller = threading.Thread(target=slow)
    caller.start()
    begun.wait(5)
    fleet.start("e", [models.variant(FAKE_NAME="new")])
    caller.join(10)

    assert "new" == post(fleet, b"x")["name"]
    assert [b"late"] == answers
    assert eventually(lambda: not alive(old))
    assert "InService" == fleet.status("e")


def test_a_failed_update_keeps_the_old_process_and_says_why(fleet: EndpointFleet, models: Any) -> None:
    """The reason is SageMaker's sentence and the end of the container's log."""
    fleet.start("e", [models.variant(FAKE_NAME="old")])
    with pytest.raises(ContainerFailed) as caught:
        fleet.start("e", [models.variant(FAKE_START="no weights")])

    assert "production variant main did not pass the ping health check" in str(caught.value)
    assert "exit code 1" in str(caught.value)
    assert "RuntimeError: cannot load the model: no weights" in str(caught.value)
    assert "old" == post(fleet, b"x")["name"]
    assert ("InService", str(caught.value)) == (fleet.status("e"), fleet.describe("e").failure_reason)


def test_the_reason_shows_the_log_of_this_start_only(fleet: EndpointFleet, models: Any, tmp_path: Path) -> None:
    """What an earlier process wrote into the same file is not taken for this one's last words."""
    (tmp_path / "logs" / "e").mkdir(parents=True)
    (tmp_path / "logs" / "e" / "main-1.log").write_text("words of another day\n")
    with pytest.raises(ContainerFailed, match="RuntimeError: cannot load the model: today") as caught:
        fleet.start("e", [models.variant(FAKE_START="today")])

    assert "another day" not in str(caught.value)


def test_a_failed_creation_is_known_as_failed_until_it_is_deleted(fleet: EndpointFleet, models: Any) -> None:
    """/ping that never says 200 fails at the startup timeout; one bad variant takes the others down."""
    variants = [models.variant("good"), models.variant("bad", FAKE_PING="503")]
    with pytest.raises(ContainerFailed, match=r"variant bad did not pass[\s\S]*within 0.5 s[\s\S]*bad listens"):
        fleet.start("e", variants, startup_timeout_s=0.5)

    assert "Failed" == fleet.status("e")
    with pytest.raises(EndpointNotInService, match="Failed, not InService"):
        post(fleet, b"x")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "Failed to download model data .* from URL"),
        (b"not a tar", "valid tar.gz archive"),
        ({"config.json": b"{}"}, "no code/serve.py"),
        ({"../escape": b"x"}, "valid tar.gz archive"),
    ],
)
def test_an_archive_that_cannot_run_fails_the_endpoint(
    fleet: EndpointFleet, models: Any, content: Any, reason: str
) -> None:
    """Missing, damaged, unsafe or empty of a server: each with its own reason, before any process starts."""
    if content is not None:
        models.objects["s3://models/bad.tar.gz"] = models.pack(content) if isinstance(content, dict) else content
    with pytest.raises(ModelDataFailed, match=reason):
        fleet.start("e", [models.variant(url="s3://models/bad.tar.gz")])


def test_a_second_deployment_at_the_same_time_is_refused(fleet: EndpointFleet, models: Any) -> None:
    """While it is Creating the endpoint takes neither invocations nor updates; deleting it ends the creation."""
    outcome: list[BaseException] = []

    def create() -> None:
        try:
            fleet.start("e", [models.variant(FAKE_PING="503")])
        except ContainerFailed as error:
            outcome.append(error)

    creator = threading.Thread(target=create)
    creator.start()
    assert eventually(lambda: fleet.status("e") == "Creating")
    with pytest.raises(EndpointBusy, match="Creating already"):
        fleet.start("e", [models.variant()])
    with pytest.raises(EndpointNotInService, match="Creating, not InService"):
        post(fleet, b"x")
    fleet.stop("e")
    creator.join(10)

    assert 1 == len(outcome)
    assert fleet.status("e") is None


def test_a_process_that_dies_is_started_again(fleet: EndpointFleet, models: Any) -> None:
    """The caller whose request killed it gets an error; later callers get answers from a new process."""
    fleet.start("e", [models.variant()])
    before = fleet.describe("e").variants[0]
    with pytest.raises(ContainerUnavailable):
        post(fleet, b"die")

    assert eventually(lambda: fleet.describe("e").variants[0].healthy and fleet.describe("e").variants[0].restarts == 1)
    assert before.pid != fleet.describe("e").variants[0].pid
    assert "main" == post(fleet, b"x")["name"]


def test_a_process_that_never_stays_up_is_given_up_with_its_reason(fleet: EndpointFleet, models: Any) -> None:
    """After the last restart requests are told what the log says."""
    fleet.start("e", [models.variant()])

    def dead() -> bool:
        view = fleet.describe("e").variants[0]
        if view.pid:
            os.kill(view.pid, signal.SIGKILL)
        try:
            post(fleet, b"x")
        except ContainerUnavailable as error:
            return "did not stay up" in str(error)
        return False

    assert eventually(dead)
    assert 2 == fleet.describe("e").variants[0].restarts


def test_traffic_follows_the_weights_and_a_target_overrides_them(fleet: EndpointFleet, models: Any) -> None:
    """A variant of weight 0 gets only what is addressed to it; weights can be shifted while it serves."""
    fleet.start("e", [models.variant("a", weight=1.0), models.variant("b", weight=0.0)])
    first = Counter(post(fleet, b"x")["name"] for _ in range(20))
    targeted = post(fleet, b"x", "b")["name"]
    fleet.set_weights("e", {"a": 0.0, "b": 3.0})
    second = Counter(post(fleet, b"x")["name"] for _ in range(20))

    assert ({"a": 20}, "b", {"b": 20}) == (dict(first), targeted, dict(second))
    with pytest.raises(UnknownVariant, match="no variant c; it has a, b"):
        post(fleet, b"x", "c")
    with pytest.raises(UnknownVariant, match="no variant c"):
        fleet.set_weights("e", {"a": 1.0, "c": 1.0})


def test_a_process_that_ignores_sigterm_is_killed(models: Any, tmp_path: Any) -> None:
    """SIGKILL follows when the grace is over, and takes children along."""
    first = (
        b"import os, runpy, signal, subprocess\n"
        b"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        b"print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        b"runpy.run_path(os.path.join(os.path.dirname(__file__), 'fake.py'), run_name='__main__')\n"
    )
    models.objects["s3://models/stubborn"] = models.pack({"code/serve.py": first, "code/fake.py": SERVER.read_bytes()})
    care = type(models.care)(stop_grace_s=0.3)
    container = Container(models.variant(url="s3://models/stubborn"), models.fetch, tmp_path / "log", care=care)
    container.start(10.0)
    pids = [container.pid, int((tmp_path / "log").read_text().split()[0])]
    container.stop()

    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_processes_that_outlive_a_killed_server_can_be_found_and_ended(
    fleet: EndpointFleet, models: Any, tmp_path: Path
) -> None:
    """The note beside the log is enough; a note whose process id means something else by now harms nobody."""
    fleet.start("e", [models.variant()])
    (variant,) = fleet.describe("e").variants
    (variant.log.parent / "other.pid").write_text(f"{os.getpid()}\n/not/this/code/serve.py\n")

    assert [variant.pid] == stop_leftovers(tmp_path)
    assert [] == list(tmp_path.rglob("*.pid"))
