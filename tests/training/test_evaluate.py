"""rerank evaluate on a toy collection."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rerank_bundle.demo import make_demo_checkpoint
from rerank_engine.models import prepack
from rerank_engine.models.products import OneDnnProduct
from rerank_ops.cli import main
from rerank_training.beir import read_collection
from rerank_training.chunking import Chunking
from rerank_training.errors import ScorerError
from rerank_training.evaluation import at_depth, evaluate
from rerank_training.runs import bm25_run
from rerank_training.scorers import FirstStage, open_scorer


class Overlap:
    """Counts words that query and passage share."""

    name = "overlap"
    details: dict[str, object] = {"kind": "test"}  # noqa: RUF012

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        return [float(len(set(query.split()) & set(passage.split()))) for passage in passages]


def test_a_better_scorer_wins_and_a_long_document_counts_by_its_best_passage(
    make_collection: Callable[..., Path],
) -> None:
    """With passages of 4 words the maximum over passages decides; latencies are one per query."""
    collection = read_collection(make_collection(length=20))
    first = bm25_run(collection)

    baseline = evaluate(collection, first, FirstStage())
    whole = evaluate(collection, first, Overlap(), chunking=Chunking(0, 0))
    cut = evaluate(collection, first, Overlap(), chunking=Chunking(4, 2))

    assert whole.interval("nDCG@10").mean > 0.9
    best = {
        result: sum(rows[0][1] for rows in ranked.run.values()) for result, ranked in (("whole", whole), ("cut", cut))
    }
    assert best["cut"] < best["whole"]  # a query's words lie in several passages, and each passage is scored alone
    assert len(whole.latency_ms) == len(collection.queries)
    assert whole.against(baseline, "nDCG@10").better >= 0


def test_fewer_candidates_bound_what_can_be_found(make_collection: Callable[..., Path]) -> None:
    """Reranking one candidate leaves the first stage's order."""
    collection = read_collection(make_collection())
    first = bm25_run(collection)

    one = evaluate(collection, first, Overlap(), top=1)
    three = evaluate(collection, first, Overlap(), top=3)
    cut = at_depth(collection, evaluate(collection, first, Overlap()), first, 3)

    assert cut.run == three.run
    assert {query: rows[0][0] for query, rows in one.run.items()} == {
        query: rows[0][0] for query, rows in first.items()
    }


def test_a_scorer_that_loses_scores_is_refused(make_collection: Callable[..., Path]) -> None:
    """As many scores as passages, or an error with both numbers."""

    class Short(Overlap):
        def score(self, query: str, passages: Sequence[str]) -> list[float]:
            return [1.0]

    collection = read_collection(make_collection())

    with pytest.raises(ScorerError, match="gave 1 scores for"):
        evaluate(collection, bm25_run(collection), Short())


def test_parts_of_a_querys_passages_are_told_and_score_as_the_whole(make_collection: Callable[..., Path]) -> None:
    """A scorer that takes passages in parts is asked once for each text, and equal texts still tie."""
    asked: list[int] = []

    class Parts(Overlap):
        part = 2

        def score(self, query: str, passages: Sequence[str]) -> list[float]:
            asked.append(len(passages))
            return super().score(query, passages)

    collection = read_collection(make_collection(size=20))
    first, told = bm25_run(collection), []

    found = evaluate(collection, first, Parts(), report=lambda done, of: told.append((done, of)))

    assert evaluate(collection, first, Overlap()).run == found.run
    assert max(asked) == 2
    assert (0, 20) == told[0]
    assert (20, 20) == told[-1]
    assert any(0 < done < 1 for done, _ in told)
    assert sorted(told) == told


def test_the_command_compares_models_in_a_table_and_a_picture(
    make_collection: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The baseline first; every model with interval, difference and milliseconds; published figures on request."""
    model = make_demo_checkpoint(tmp_path / "demo", hidden=48, ffn=48)

    code = main(
        [
            "evaluate",
            str(make_collection()),
            "--model",
            str(model),
            "--plot",
            str(tmp_path / "p.png"),
            "--differences",
            "2",
            "--depths",
            "3,5",
            "--reported",
            "--queries",
            "8",
        ]
    )

    out = capsys.readouterr().out
    assert code == 0
    assert "toy: 8 queries" in out
    assert all(name in out for name in ("bm25", "demo", "nDCG@10", "hit@5", "MRR@10", "48.54"))
    assert re.search(r" [+-]\d\.\d{3}…[+-]\d\.\d{3} ", out), "intervals are on one line"
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_writes_json_with_every_query(
    make_collection: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Intervals, differences and the values of each query, for programs; the run in TREC format on request."""
    model = make_demo_checkpoint(tmp_path / "demo", hidden=48, ffn=48)
    folder = make_collection()

    code = main(
        [
            "evaluate",
            str(folder),
            "--model",
            str(model),
            "--json",
            "--write-runs",
            str(tmp_path / "runs"),
            "--top",
            "10",
        ]
    )

    report = json.loads(capsys.readouterr().out)
    baseline, found = report["collections"]["toy"]
    assert code == 0
    assert (baseline["model"], baseline["against"], found["against"]["model"]) == ("bm25", None, "bm25")
    assert len(found["per_query"]["nDCG@10"]) == 30
    assert found["details"]["family"] == "jina_bert"
    assert found["measures"]["nDCG@10"]["low"] <= found["measures"]["nDCG@10"]["mean"]
    assert main(["evaluate", str(folder), "--run", str(tmp_path / "runs/toy.demo.trec"), "--json"]) == 0
    assert main(["evaluate", str(folder), "--model", "bm25", "--chunk-words", "0", "--json"]) == 0  # whole documents


@pytest.mark.needs("int8")
def test_precisions_are_rows_of_their_own(
    make_collection: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """fp32 and int8 of one checkpoint side by side, each run for what it is called, and two models of one name."""
    one, other = (make_demo_checkpoint(tmp_path / name / "demo", hidden=48, ffn=48) for name in "ab")
    given = ["--model", str(one), "--model", str(other), "--device", "cpu"]
    folder = str(make_collection(size=6))

    assert main(["evaluate", folder, *given, "--precision", "fp32,int8", "--json"]) == 0

    rows = json.loads(capsys.readouterr().out)["collections"]["toy"][1:]
    assert ["demo (fp32)", "demo (int8)", f"{other} (fp32)", f"{other} (int8)"] == [row["model"] for row in rows]
    assert ["fp32", "int8"] * 2 == [row["details"]["precision"] for row in rows]


def test_an_unknown_precision_is_refused(
    make_collection: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """All that there are stand in the message."""
    assert main(["evaluate", str(make_collection(size=6)), "--model", "bm25", "--precision", "fp8"]) == 1
    assert "Must be of auto, fp32, bf16, fp16, mixed, int8" in capsys.readouterr().err


def test_a_precision_that_the_processor_lacks_is_no_row(
    make_collection: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The model would run in fp32, and fp32's figures must not stand under the name int8."""
    monkeypatch.setattr(prepack, "works", lambda make, dtype, tolerance: make is OneDnnProduct)
    model = make_demo_checkpoint(tmp_path / "demo", hidden=48, ffn=48)
    given = ["--model", str(model), "--device", "cpu", "--precision", "int8"]

    assert main(["evaluate", str(make_collection(size=6)), *given]) == 1
    assert "would run in fp32, not in int8" in " ".join(capsys.readouterr().err.split())


def test_another_baseline_is_held_against(
    make_collection: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--against a model: differences, intervals and p-values are to it, a mark where they are significant."""
    model = make_demo_checkpoint(tmp_path / "demo", hidden=48, ffn=48)
    given = ["evaluate", str(make_collection()), "--against", str(model), "--model", "bm25", "--device", "cpu"]

    assert main([*given, "--json"]) == 0
    baseline, found = json.loads(capsys.readouterr().out)["collections"]["toy"]
    assert main(given) == 0

    difference = found["against"]["nDCG@10"]
    assert ("demo", None, "bm25") == (baseline["model"], baseline["against"], found["model"])
    assert "demo" == found["against"]["model"]
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert difference["p"] < 0.05  # random weights against BM25 on its own ground
    table = capsys.readouterr().out
    assert "to demo" in table
    assert f"{difference['p']:.4f} *" in table


def test_the_committed_checkpoint_ranks_by_meaning() -> None:
    """The right passage first, also where another one repeats more of the query's words."""
    checkpoint = Path(__file__).parents[2] / "training" / "checkpoints" / "demo"
    scorer = open_scorer(str(checkpoint), precision="fp32", device="cpu")
    cases = {
        "how do I delete a bucket": ["Removing an Amazon S3 bucket: choose Delete and confirm.", "How to bake bread."],
        "when was the university founded?": [
            "The university was established in 1842.",
            "Dogs bark when strangers come.",
        ],
        "encrypt a database": ["Turn on encryption at rest for your database instance.", "Alarms notify a topic."],
    }

    ranked = {query: scorer.score(query, passages) for query, passages in cases.items()}  # type: ignore[union-attr]

    assert all(right > wrong for right, wrong in ranked.values())
    assert sum(path.stat().st_size for path in checkpoint.iterdir() if path.suffix in (".json", ".safetensors")) < 8e6
