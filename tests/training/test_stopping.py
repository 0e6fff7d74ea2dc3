"""A run that is stopped keeps its state and hands over nothing; the same command goes on with the next step."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from rerank_bundle.demo import make_demo_checkpoint
from rerank_ops.cli import main
from rerank_ops.training import run
from rerank_training import loop
from rerank_training.state import Progress
from rerank_training.stopping import Stop

FAST = ["--batch", "4", "--list-size", "4", "--hard", "6", "--watch", "10", "--threads", "1", "--device", "cpu"]
LEARN = ["--learning-rate", "3e-3", "--warmup", "1", "--store", "fp32", "--keep", "last"]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    return make_demo_checkpoint(tmp_path / "start", hidden=48, layers=2, ffn=48)


def finetune(start: Path, pairs: Path, output: Path, *more: str) -> int:
    return main(["finetune", str(start), str(pairs), "--output", str(output), *FAST, *LEARN, *more])


def state(output: Path) -> dict[str, Any]:
    return dict(torch.load(output.with_name(output.name + ".work") / "state.pt", weights_only=True))


def signal_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Sends this process a signal when a run reports that step."""
    watch = run._watch

    def watching(*args: Any) -> Any:
        tell = watch(*args)

        def told(done: Progress, values: Mapping[str, float]) -> None:
            tell(done, values)
            if done.step == step:
                os.kill(os.getpid(), number)

        return told

    monkeypatch.setattr(run, "_watch", watching)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_keeps_its_step_and_writes_no_model(
    number: signal.Signals,
    start: Path,
    pairs_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Long before the first evaluation; what goes on from there ends with the bytes of a run that was not stopped."""
    assert finetune(start, pairs_file, tmp_path / "one", "--steps", "5") == 0
    handlers = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    capsys.readouterr()

    with monkeypatch.context() as patch:
        signal_at(patch, 2, number)
        code = finetune(start, pairs_file, tmp_path / "two", "--steps", "5", "--json")

    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (130, None, False, 2) == (code, report["checkpoint"], report["finished"], report["steps"])
    assert "Stopped after step 2 of 5" in told.err
    assert "Next: rerank package" not in told.err
    assert not (tmp_path / "two").exists()
    assert 2 == state(tmp_path / "two")["progress"]["step"]
    assert handlers == [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    assert main(["package", str(tmp_path / "two"), "--output", str(tmp_path / "m.tar.gz")]) == 1

    assert finetune(start, pairs_file, tmp_path / "two", "--steps", "5") == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "start")]
    assert weights[0] == weights[1] != weights[2]


def test_an_evaluation_that_was_given_up_is_made_when_the_run_goes_on(
    start: Path, pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop between two passes of it: the step is kept, and history and weights end as without a break."""
    make = loop.LoopOptions.__init__
    monkeypatch.setattr(loop.LoopOptions, "__init__", lambda self, **given: make(self, **{**given, "tokens": 600}))
    often = ["--steps", "4", "--evaluate-every", "2"]
    assert finetune(start, pairs_file, tmp_path / "one", *often) == 0
    score, scored = loop.score_pairs, []

    def watched(model: Any, pairs: Any, **more: Any) -> Any:
        scored.append(model.training)
        if scored.count(True) == 2 and not model.training and scored[-2]:  # the first pass after the second step
            os.kill(os.getpid(), signal.SIGTERM)
        return score(model, pairs, **more)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "score_pairs", watched)
        assert finetune(start, pairs_file, tmp_path / "two", *often) == 130
    stopped = state(tmp_path / "two")["progress"]
    assert finetune(start, pairs_file, tmp_path / "two", *often) == 0

    one, two = state(tmp_path / "one"), state(tmp_path / "two")
    assert (2, [0]) == (stopped["step"], [record["step"] for record in stopped["history"]])
    assert [record["step"] for record in one["progress"]["history"]] == [0, 2, 4]
    for first, second in zip(one["progress"]["history"], two["progress"]["history"], strict=True):
        assert {**first, "seconds": 0} == pytest.approx({**second, "seconds": 0})
    assert all(tensor.equal(two["model"][name]) for name, tensor in one["model"].items())


def test_a_run_is_stopped_at_once_while_it_prepares(
    start: Path,
    pairs_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """There is no step to finish: exit code 130, and the same command starts."""

    def mine(*args: Any, **more: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("rerank_training.prepare.mine", mine)
        assert finetune(start, pairs_file, tmp_path / "s", "--steps", "1") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert finetune(start, pairs_file, tmp_path / "s", "--steps", "1") == 0


def test_a_state_is_kept_every_minute_without_being_asked(
    start: Path, pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is taken away says nothing before."""
    saved: list[int] = []
    save = loop.save_state

    def noting(folder: Path, model: Any, optimizer: Any, progress: Progress, fingerprint: str) -> None:
        saved.append(progress.step)
        save(folder, model, optimizer, progress, fingerprint)

    monkeypatch.setattr(loop, "save_state", noting)
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)

    assert finetune(start, pairs_file, tmp_path / "s", "--steps", "3") == 0
    assert [1, 2, 3] == saved


def test_a_second_signal_does_not_wait() -> None:
    """The first is noted while a step is under way; the next interrupts, and so does any outside of one."""
    stop = Stop()
    with stop.patient():
        stop.ask()
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            stop.ask()
    with pytest.raises(KeyboardInterrupt):
        Stop().ask()


def test_a_pause_hands_over_nothing(
    start: Path, pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--stop-after ends a sitting as it was asked to: exit code 0, and no folder that could be packaged."""
    assert finetune(start, pairs_file, tmp_path / "s", "--steps", "3", "--stop-after", "1") == 0
    assert not (tmp_path / "s").exists()
    assert "Next: rerank package" not in capsys.readouterr().err


def test_a_model_that_did_not_improve_is_not_recommended(
    start: Path, pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning on stderr and in the report; nothing says to package it."""
    still = ["--steps", "2", "--learning-rate", "1e-12", "--evaluate-every", "1"]
    assert finetune(start, pairs_file, tmp_path / "s", *still, "--json") == 0

    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (0, False) == (report["best_step"], report["improved"])
    assert "Nothing improved" in report["warnings"][0]
    assert "WARN Nothing improved" in told.err
    assert "Next: rerank package" not in told.err


def test_a_run_that_cannot_be_watched_keeps_the_last_weights(
    start: Path, tmp_path: Path, toy_pairs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of four pairs none can be held out: the weights handed over are trained ones, and a warning says what that is."""
    few = tmp_path / "few.jsonl"
    others = [pair["passage"] for pair in toy_pairs[4:20]]
    few.write_text("".join(json.dumps({**pair, "negatives": others}) + "\n" for pair in toy_pairs[:4]))
    mined = ["--steps", "4", "--evaluate-every", "2", "--json", "--plot", str(tmp_path / "p.svg")]
    pairs = ["finetune", str(start), str(few), "--output", str(tmp_path / "s"), *FAST, *LEARN, *mined]

    assert main(pairs) == 0

    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (4, None, None) == (report["best_step"], report["best_ndcg"], report["improved"])
    assert "No query was watched" in report["warnings"][0]
    trained = (tmp_path / "s" / "model.safetensors").read_bytes()
    assert trained != (start / "model.safetensors").read_bytes()
    assert not list((tmp_path / "s.work").glob("best-[023]*"))
