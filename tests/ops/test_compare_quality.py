"""`rerank compare --data`: looked at before anything is timed, and what was timed is told whatever comes after."""

import json
from pathlib import Path
from typing import Any

import pytest

from rerank_bundle.demo import make_demo_checkpoint
from rerank_ops import cli
from rerank_ops.comparison import measure as timing
from rerank_ops.comparison import quality
from rerank_training.errors import ScorerError

ONCE = ["--rounds", "1", "--requests", "1", "--passages", "1"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small checkpoint that does not say its weights are random."""
    folder = make_demo_checkpoint(tmp_path / "model", hidden=48, layers=2, ffn=48)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"rerank_demo": False}))
    return folder


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "an endpoint"}\n{"_id": "d2", "text": "a banana"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "endpoint"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return folder


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data", "nowhere"], "nowhere/corpus.jsonl does not exist"),
        (["--html", "."], "--html . is a folder"),
        (["--html", "model/config.json/page.html"], "config.json is a file"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_timed(
    flags: list[str],
    said: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Data and places to write to."""
    monkeypatch.setattr(timing, "measure", None)
    monkeypatch.chdir(tmp_path)

    assert 1 == cli.main(["compare", str(model), *ONCE, *flags])
    assert said in capsys.readouterr().err


def test_what_was_timed_is_told_when_quality_fails(
    model: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As JSON and as a page whose folder is made; then the error, and exit code 1."""

    def fails(*args: Any, **more: Any) -> None:
        raise ScorerError("the corpus went away")

    monkeypatch.setattr(quality, "evaluate", fails)
    page = tmp_path / "new" / "page.html"

    code = cli.main(["compare", str(model), *ONCE, "--data", str(collection), "--html", str(page), "--json"])

    told = capsys.readouterr()
    found = json.loads(told.out)
    assert (1, "the corpus went away") == (code, found["failed"])
    assert found["models"][0]["pairs_per_s"] > 0
    assert "ERROR the corpus went away" in told.err
    assert "model" in page.read_text()


def test_quality_says_how_far_it_is(model: Path, collection: Path) -> None:
    """Model and query, from the first on."""
    said: list[str] = []

    quality.evaluate(
        collection,
        [timing.Candidate("one", model)],
        queries=0,
        top=10,
        report=lambda fraction, note: said.append(note),
    )

    assert "toy: one" in said
    assert any(note.startswith("toy: one, query 1 of 1") for note in said)
