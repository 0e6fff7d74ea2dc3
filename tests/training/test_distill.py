"""rerank distill and rerank finetune on a toy language."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rerank_bundle.demo import make_demo_checkpoint
from rerank_engine.reranker.engine import Reranker
from rerank_ops.cli import main

SHAPE = ["--layers", "2", "--width", "48", "--feed-forward", "48", "--vocabulary", "400"]
DATA = ["--watch", "20", "--store", "fp32", "--as-is"]
FAST = ["--batch", "8", "--list-size", "6", "--hard", "12", "--learning-rate", "3e-3", "--warmup", "5"]
LARGER = ["--layers", "4", "--width", "96", "--feed-forward", "96", "--evaluate-every", "60"]
MACHINE = ["--threads", "1", "--device", "cpu"]


def distill(pairs: Path, output: Path, *more: str) -> int:
    return main(["distill", str(pairs), "--output", str(output), *SHAPE, *DATA, *FAST, *MACHINE, *more])


def test_a_student_learns_from_bm25(pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The loss falls and the nDCG of queries it never saw rises above its start; the checkpoint loads and ranks."""
    code = distill(
        pairs_file,
        tmp_path / "student",
        "--teacher",
        "bm25",
        "--steps",
        "60",
        "--evaluate-every",
        "20",
        "--json",
        "--plot",
        str(tmp_path / "curve.svg"),
    )

    assert code == 0
    report = json.loads(capsys.readouterr().out)
    losses = [record["kl"] for record in report["history"] if "kl" in record]
    assert losses[-1] < losses[0]
    assert report["best_ndcg"] > report["ndcg_at_start"]
    assert (tmp_path / "curve.svg").read_text().startswith("<?xml")
    assert len(Reranker.load(tmp_path / "student").rerank("bako", ["bako rimu", "telo"]).results) == 2


def test_a_larger_teacher_trained_here_teaches_the_demos_kind_of_student(
    pairs_file: Path, make_collection: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss falls; nDCG on a collection it never saw rises above its start; two sittings end as one does."""
    assert distill(pairs_file, tmp_path / "teacher", "--teacher", "bm25", "--steps", "60", *LARGER) == 0
    learn = ["--teacher", str(tmp_path / "teacher"), "--bm25-weight", "0", "--layers", "3", "--steps", "60"]
    every = ["--evaluate-every", "20"]

    def ndcg(model: Path) -> float:
        capsys.readouterr()
        assert main(["evaluate", str(make_collection(model.name)), "--model", str(model), "--json"]) == 0
        _, found = json.loads(capsys.readouterr().out)["collections"][model.name]
        return float(found["measures"]["nDCG@10"]["mean"])

    assert distill(pairs_file, tmp_path / "two", *learn, *every, "--stop-after", "1") == 0
    assert not (tmp_path / "two").exists()
    untrained = (tmp_path / "two.work" / "best-0.safetensors").read_bytes()  # nothing was better so far
    assert distill(pairs_file, tmp_path / "two", *learn, *every) == 0
    capsys.readouterr()
    assert distill(pairs_file, tmp_path / "one", *learn, *every, "--json") == 0

    history = json.loads(capsys.readouterr().out)["history"]
    losses = [record["kl"] for record in history if "kl" in record]
    shutil.copytree(tmp_path / "one", tmp_path / "start")
    (tmp_path / "start" / "model.safetensors").write_bytes(untrained)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("teacher", "start", "one", "two")]
    assert sorted(losses, reverse=True) == losses
    assert ndcg(tmp_path / "one") > ndcg(tmp_path / "start")
    assert weights[2] == weights[3] != weights[1]
    assert len(weights[0]) > 2 * len(weights[2])


def test_a_larger_cross_encoder_teaches(pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A teacher with random weights is imitated: the student's distance from it falls."""
    teacher = make_demo_checkpoint(tmp_path / "teacher", hidden=48, layers=3, ffn=48)

    code = distill(
        pairs_file,
        tmp_path / "student",
        "--teacher",
        str(teacher),
        "--bm25-weight",
        "0",
        "--steps",
        "40",
        "--evaluate-every",
        "10",
        "--json",
    )

    assert code == 0
    history = json.loads(capsys.readouterr().out)["history"]
    losses = [record["kl"] for record in history if "kl" in record]
    assert losses[-1] < losses[0]


def test_a_stopped_run_ends_as_if_it_had_not_stopped(pairs_file: Path, tmp_path: Path) -> None:
    """Weights of a run in three sittings equal, bit for bit, those of a run in one."""
    whole = ["--teacher", "bm25", "--steps", "12", "--evaluate-every", "5"]
    assert distill(pairs_file, tmp_path / "one", *whole) == 0
    for _ in range(3):
        assert distill(pairs_file, tmp_path / "two", *whole, "--stop-after", "4") == 0

    import torch

    states = [torch.load(tmp_path / f"{name}.work" / "state.pt", weights_only=True) for name in ("one", "two")]
    assert [state["progress"]["step"] for state in states] == [12, 12]
    assert all(torch.equal(value, states[1]["model"][name]) for name, value in states[0]["model"].items())
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


def test_a_state_of_another_run_is_refused(
    pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other options in the same folder end in an ERROR that says so, not in a mixture."""
    assert distill(pairs_file, tmp_path / "s", "--teacher", "bm25", "--steps", "2") == 0

    code = distill(pairs_file, tmp_path / "s", "--teacher", "bm25", "--steps", "4", "--learning-rate", "1e-3")

    assert code == 1
    assert "belongs to a run with other data or options" in capsys.readouterr().err


def test_two_workers_share_a_step(pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two processes train one model: it learns, and the checkpoint is written once."""
    code = distill(
        pairs_file,
        tmp_path / "s",
        "--teacher",
        "bm25",
        "--steps",
        "6",
        "--evaluate-every",
        "3",
        "--workers",
        "2",
        "--json",
    )

    assert code == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 6
