"""The training loop: when it stops, how it adds up, in which precision it computes, how it goes on after a break."""

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rerank_ops.cli import main
from rerank_training.distill import RunOptions, run
from rerank_training.state import Progress

ROOT = Path(__file__).parents[2]
SHAPE = ["--layers", "2", "--width", "48", "--feed-forward", "48", "--vocabulary", "400", "--as-is", "--store", "fp32"]
QUICK = ["--teacher", "bm25", "--batch", "8", "--list-size", "6", "--hard", "12", "--watch", "20", "--warmup", "1"]
MACHINE = ["--threads", "1", "--device", "cpu"]


def arguments(pairs: Path, output: Path, *more: str) -> list[str]:
    return ["distill", str(pairs), "--output", str(output), *SHAPE, *QUICK, *MACHINE, *more]


def state(output: Path) -> dict[str, Any]:
    return dict(torch.load(output.with_name(output.name + ".work") / "state.pt", weights_only=True))


def test_a_run_without_progress_stops_early(pairs_file: Path, tmp_path: Path, capsys: Any) -> None:
    """Three evaluations without a better nDCG end it; the checkpoint is that of the best one, the start."""
    still = ["--steps", "50", "--evaluate-every", "2", "--learning-rate", "1e-12", "--patience", "3", "--json"]

    assert main(arguments(pairs_file, tmp_path / "s", *still)) == 0

    report = json.loads(capsys.readouterr().out)
    assert report["finished"]
    assert (6, 50, 0) == (report["steps"], report["of_steps"], report["best_step"])
    assert [0, 2, 4, 6] == [record["step"] for record in report["history"]]


def test_the_last_weights_may_be_kept_instead_of_the_best(pairs_file: Path, tmp_path: Path, capsys: Any) -> None:
    """Where training makes it worse, the best is the start; --keep last exports what the run ended with."""
    spoilt = ["--steps", "4", "--evaluate-every", "2", "--learning-rate", "3.0", "--seed", "1", "--json"]
    same = {}
    for keep in ("best", "last"):
        output = tmp_path / keep
        assert main(arguments(pairs_file, output, *spoilt, "--keep", keep)) == 0
        assert 4 > json.loads(capsys.readouterr().out)["best_step"]
        exported, ended = load_file(output / "model.safetensors"), state(output)["model"]
        same[keep] = all(torch.equal(tensor, ended[name]) for name, tensor in exported.items())

    assert {"best": False, "last": True} == same


def test_gradients_add_up_over_passes(pairs_file: Path, tmp_path: Path) -> None:
    """A step of eight queries in one pass or in four has the same gradient."""
    found = []
    for lists in ("8", "2"):
        output = tmp_path / lists
        assert main(arguments(pairs_file, output, "--steps", "1", "--lists-per-pass", lists)) == 0
        moments = state(output)["optimizer"]["state"].values()
        found.append(torch.cat([moment["exp_avg"].flatten() for moment in moments]))

    whole, parts = found
    assert whole.norm() > 0
    assert (whole - parts).norm() < 1e-4 * whole.norm()


def test_mixed_precision_computes_in_bf16_and_learns_in_fp32(pairs_file: Path, tmp_path: Path) -> None:
    """The first step's losses are near those of fp32, but not theirs; the weights learned on stay in 32 bits."""
    losses = {}
    for precision in ("fp32", "bf16"):
        output = tmp_path / precision
        assert main(arguments(pairs_file, output, "--steps", "1", "--precision", precision)) == 0
        losses[precision] = state(output)["progress"]["history"][-1]["kl"]

    kept = state(tmp_path / "bf16")["model"].values()
    assert losses["fp32"] != losses["bf16"]
    assert losses["fp32"] == pytest.approx(losses["bf16"], rel=0.03)
    assert {torch.float32} == {tensor.dtype for tensor in kept}


def door() -> Any:
    """scripts/train.py, what SageMaker starts."""
    spec = importlib.util.spec_from_file_location("train_door", ROOT / "scripts" / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_job_whose_machine_was_taken_away_goes_on(
    pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off between two saved states, started again by the same hyperparameters: the same bytes as unbroken."""
    given = ["--steps", "8", "--evaluate-every", "3", "--learning-rate", "3e-3"]
    assert main(arguments(pairs_file, tmp_path / "unbroken", *given)) == 0
    taken = arguments(pairs_file, tmp_path / "taken", *given, "--work", str(tmp_path / "checkpoints"))

    def take_away(done: Progress, _: Mapping[str, float]) -> None:
        if done.step == 5:  # the last saved state is that of step 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(described(taken), stage=lambda *_: None, watch=take_away)
    saved = torch.load(tmp_path / "checkpoints" / "state.pt", weights_only=True)["progress"]["step"]
    hyperparameters = tmp_path / "hyperparameters.json"
    hyperparameters.write_text(json.dumps({"arguments": json.dumps(json.dumps(taken))}))

    monkeypatch.setattr(sys, "path", [*sys.path])  # the door adds the folder it lies in
    assert door().main(hyperparameters) == 0

    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("unbroken", "taken")]
    unbroken, broken = (
        [record["ndcg"] for record in json.loads((tmp_path / name / "history.json").read_text())]
        for name in ("unbroken.work", "checkpoints")
    )
    assert 3 == saved
    assert weights[0] == weights[1]
    assert unbroken == broken


def described(argv: list[str]) -> RunOptions:
    """The run of a command line, as the command itself makes it."""
    import argparse

    from rerank_ops.commands import distill

    commands = argparse.ArgumentParser().add_subparsers()
    distill.add_parser(commands)
    return distill.options(commands.choices["distill"].parse_args(argv[1:]))
