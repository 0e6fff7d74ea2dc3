"""rerank calibrate, from labelled pairs to a score that an endpoint answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle.build import build
from rerank_bundle.errors import ManifestError
from rerank_bundle.recalibrate import recalibrate
from rerank_bundle.unpack import unpack
from rerank_bundle.verify import verify
from rerank_engine.calibration import Calibration
from rerank_engine.reranker.engine import Reranker
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings
from rerank_ops import cli
from rerank_ops.evaluation.labelled import from_collection

DOCUMENTS = [f"{word} and {other}" for word in ("pods", "bananas", "scale", "rain") for other in ("sun", "tea", "ink")]


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle. Not to be written to."""
    path = tmp_path_factory.mktemp("calibrate") / "model.tar.gz"
    build(tiny_checkpoint, path, name="rerank-demo", source_id="demo")
    return path


@pytest.fixture
def pairs(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """Labels that follow the model's own logits, but for some."""
    reranker = Reranker.load(tiny_checkpoint)
    texts = [(f"question {number}", document) for number in range(10) for document in DOCUMENTS]
    logits = reranker.score(texts)
    middle = sorted(logits)[len(logits) // 2]
    lines = [
        json.dumps({"query": query, "document": document, "label": int((logit > middle) != (at % 7 == 0))})
        for at, ((query, document), logit) in enumerate(zip(texts, logits, strict=True))
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return path


def ask(bundle: Path, folder: Path) -> dict[str, Any]:
    """What a bundle answers to a request for calibrated scores."""
    unpack(bundle, folder)
    service = Service(Reranker.load(folder), Settings())
    call = {"query": "question 1", "documents": DOCUMENTS[:3], "score": "calibrated", "order": "input"}
    reply = service.handle(json.dumps({"rerank": call}), "application/json")
    return {"status": reply.status, **json.loads(reply.body)}


def test_the_whole_way(bundle: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fitted, written, still whole, and what `score: calibrated` answers is σ(a·logit + b)."""
    output = tmp_path / "calibrated.tar.gz"

    code = cli.main(["calibrate", str(bundle), str(pairs), "--output", str(output), "--json"])

    told = json.loads(capsys.readouterr().out)
    a, b = told["calibration"]["a"], told["calibration"]["b"]
    before, after = ask(bundle, tmp_path / "before"), ask(output, tmp_path / "after")
    assert (0, 120, True) == (code, told["pairs"], told["after"]["log_loss"] < told["before"]["log_loss"])
    assert 422 == before["status"]
    assert 200 == after["status"]
    assert [pytest.approx(Calibration("platt", a, b).apply(one["logit"]), abs=1e-5) for one in after["results"]] == [
        one["score"] for one in after["results"]
    ]
    assert verify(output).sha256 == told["bundle"]["sha256"]


def test_a_dry_run_writes_nothing(bundle: Path, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It reports, and the bundle stays as it was."""
    before = bundle.read_bytes()

    code = cli.main(["calibrate", str(bundle), str(pairs), "--dry-run", "--method", "temperature"])

    assert 0 == code
    assert "held out" in capsys.readouterr().out
    assert before == bundle.read_bytes()


def test_equal_calibrations_give_equal_bytes(bundle: Path, tmp_path: Path) -> None:
    """Writing it twice, or over itself, is the same bundle."""
    first = recalibrate(bundle, tmp_path / "a.tar.gz", method="platt", a=1.5, b=-0.25)
    second = recalibrate(first.path, first.path, method="platt", a=1.5, b=-0.25)

    assert first == second


def test_no_calibration_turns_the_order(bundle: Path, tmp_path: Path) -> None:
    """A factor that is not positive is refused before anything is written."""
    with pytest.raises(ManifestError, match="a must be positive"):
        recalibrate(bundle, tmp_path / "a.tar.gz", method="platt", a=-1.0)

    assert not (tmp_path / "a.tar.gz").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "pairs.jsonl:2 is"), ('{"query": "q"}', "Must be"), ('{"query": "q", "document": "d", "label": 2}', "Must")],
)
def test_a_faulty_line_is_named(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    """Nothing is scored before every line was read."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "q", "document": "d", "label": 1}\n' + line, encoding="utf-8")

    code = cli.main(["calibrate", str(bundle), str(path)])

    assert 1 == code
    assert message in capsys.readouterr().err


def test_a_collection(tmp_path: Path) -> None:
    """What was judged is relevant by its grade; BM25's others are not."""
    (tmp_path / "qrels").mkdir()
    corpus = [
        {"_id": f"d{at}", "title": "T" * (at == 0), "text": text} for at, text in enumerate(("pods", "sun", "ink"))
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in corpus))
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "ink pods"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td0\t2\nq\td1\t0\nq\tgone\t1\n")

    pairs = from_collection(tmp_path, split="test", top=5, queries=0)

    assert [("T\npods", True), ("sun", False), ("ink", False)] == [(pair.document, pair.relevant) for pair in pairs]
