"""The gate in front of lower precisions."""

import json
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle import isolated, judged
from rerank_bundle import manifest as manifests
from rerank_bundle.build import build
from rerank_bundle.errors import PrecisionRefused, SourceError
from rerank_bundle.parity import Judged, compare, enforce, kendall_tau, ndcg
from rerank_bundle.precision import LowerPrecision
from rerank_bundle.unpack import unpack
from rerank_bundle.verify import verify
from rerank_ops.cli import main

LISTS = [Judged("q", ("a", "b", "c"), (0, 1, 0)), Judged("r", ("d", "e"), (2, 1))]
FP32 = [[0.1, 0.9, 0.5], [2.0, 1.0]]


def test_equal_scores_pass() -> None:
    """Nothing differs, nothing is lost."""
    found = compare("texts", LISTS, FP32, FP32)

    assert (True, 1.0, 0.0, 0.0, 5) == (
        found.passed,
        found.kendall_tau,
        found.ndcg_change,
        found.largest_difference,
        found.pairs,
    )


def test_another_order_is_refused_unless_forced() -> None:
    """The text names the numbers and the limits."""
    found = compare("texts", LISTS, FP32, [[0.1, 0.4, 0.5], [2.0, 1.0]])

    assert not found.passed
    enforce(found, "int8", force=True)
    with pytest.raises(PrecisionRefused, match=r"tau 0\.6667 \(at least 0\.995\).*up to 0\.500"):
        enforce(found, "int8", force=False)


def test_measures_are_those_of_the_textbook() -> None:
    """By hand: one discordant pair of three; the answer on the second place."""
    assert kendall_tau([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert kendall_tau([1, 1], [2, 2]) == 1.0
    assert ndcg([0, 1], [2.0, 1.0]) == pytest.approx(0.6309, abs=1e-4)
    assert ndcg([0, 0], [2.0, 1.0]) == 0.0


def test_the_sample_has_one_answer_a_question() -> None:
    """Twelve lists of eight different passages."""
    lists = judged.sample()

    assert [(8, 1)] * 12 == [(len(set(entry.documents)), sum(entry.grades)) for entry in lists]


def _write_collection(folder: Path) -> None:
    corpus = [{"_id": f"d{n}", "title": "", "text": f"text {n}"} for n in range(30)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "what"}))
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td7\t1\nabsent\td1\t1\n")


def test_a_collection_is_read_with_its_run(tmp_path: Path) -> None:
    """Judged documents come first, then the run's; without a run, others are drawn."""
    _write_collection(tmp_path)

    [drawn] = judged.read_collection(tmp_path)
    assert ("text 7", 1, 20) == (drawn.documents[0], drawn.grades[0], len(drawn.documents))

    (tmp_path / "bm25.trec").write_text("q Q0 d3 1 9 x\nq Q0 d7 2 8 x\n")
    [ranked] = judged.read_collection(tmp_path)
    assert (("text 7", "text 3"), (1, 0)) == (ranked.documents, ranked.grades)
    with pytest.raises(SourceError, match="not a collection in BEIR's layout"):
        judged.read_collection(tmp_path / "absent")


@pytest.mark.needs("int8")
def test_an_int8_bundle_carries_its_comparison(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Packaged by force here, since the weights are random: recorded, set for deployments, and verified."""
    output = tmp_path / "model.tar.gz"

    code = main(
        ["package", str(tiny_checkpoint), "--output", str(output), "--precision", "int8", "--force-precision", "--json"]
    )

    out, err = capsys.readouterr()
    report = json.loads(out)
    assert code == 0
    assert "against fp32 on the kit's sample only, 96 pairs" in " ".join(err.split())
    unpack(output, tmp_path / "unpacked")
    manifest = manifests.read(tmp_path / "unpacked")
    assert manifest == report["manifest"]
    assert manifest["settings"] == {"RERANK_PRECISION": "int8"}
    assert ("int8", 96, "the kit's sample") == tuple(
        manifest["model"]["parity"][key] for key in ("precision", "pairs", "evaluation")
    )
    assert 0 < manifest["model"]["parity"]["largest_difference"] < 2
    assert verify(output).manifest == manifest


@pytest.mark.needs("int8")
def test_a_collection_of_ones_own_takes_the_samples_place(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named in the record, and nothing warns of a small sample."""
    folder, output = tmp_path / "ours", tmp_path / "model.tar.gz"
    folder.mkdir()
    _write_collection(folder)
    options = ["--precision", "int8", "--evaluation", str(folder), "--force-precision"]

    code = main(["package", str(tiny_checkpoint), "--output", str(output), "--json", *options])

    out, err = capsys.readouterr()
    parity = json.loads(out)["manifest"]["model"]["parity"]
    assert (code, parity["evaluation"], parity["queries"], parity["pairs"]) == (0, "ours", 1, 20)
    assert "sample" not in err


def test_past_the_gate_nothing_is_written(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can: Callable[[str], bool]
) -> None:
    """The bundle is refused as a whole; on processors without 8-bit products their scores are stood in for."""
    monkeypatch.setattr("rerank_bundle.parity.LEAST_TAU", 1.01)

    def score_int8(*arguments: Any, precision: str = "fp32", **options: Any) -> isolated.Scores:
        return replace(isolated.score_in_isolation(*arguments, **options), precision=precision)

    if not can("int8"):
        monkeypatch.setattr("rerank_bundle.precision.score_in_isolation", score_int8)
    with pytest.raises(PrecisionRefused, match="int8 ranks too differently"):
        build(tiny_checkpoint, tmp_path / "model.tar.gz", lower=LowerPrecision("int8"))
    assert not (tmp_path / "model.tar.gz").exists()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="holds x86 to AVX2")
def test_a_processor_without_8_bit_products_packages_none(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fp32's own scores would pass the gate as int8's; held to AVX2 every processor of x86 is such a one."""
    monkeypatch.setattr(isolated, "KEPT_VARIABLES", (*isolated.KEPT_VARIABLES, "ONEDNN_MAX_CPU_ISA"))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")

    with pytest.raises(PrecisionRefused, match="This machine scored in fp32 instead of int8"):
        build(tiny_checkpoint, tmp_path / "model.tar.gz", lower=LowerPrecision("int8"))
    assert not (tmp_path / "model.tar.gz").exists()


def test_options_that_need_a_precision_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    """They are not dropped in silence."""
    assert main(["package", "demo", "--force-precision"]) == 2
    assert "go with --precision" in capsys.readouterr().err
    assert main(["package", "demo", "--precision", "int8", "--setting", "RERANK_PRECISION=fp32"]) == 2
    assert "and so does --setting" in capsys.readouterr().err
