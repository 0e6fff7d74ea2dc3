"""Teacher scores in a file: read, written, learned from."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerank_bundle.demo import make_demo_checkpoint
from rerank_ops.cli import main
from rerank_training.errors import DataError
from rerank_training.mining import Lists, mine
from rerank_training.passages import TrainingText, make_text
from rerank_training.prepare import plain_text
from rerank_training.stored import StoredTeacher, read_scores
from rerank_training.texts import Example

TEXT = TrainingText(("red fox", "blue whale", "grey seal"), ("which animal swims?",), (1,), 1)
QUERY = TEXT.queries[0]


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def test_both_kinds_of_line_are_read(tmp_path: Path) -> None:
    """A line per pair or per query, in any order; the last word on a pair counts; gzipped or not."""
    values = [
        {"query": "q", "passages": ["a", "b"], "scores": [1, -2.5]},
        {"query": "p", "passage": "c", "score": 3},
        {"query": "q", "passage": "a", "score": 4.0},
    ]
    with gzip.open(tmp_path / "s.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(value) + "\n" for value in values)

    found = read_scores(tmp_path / "s.jsonl.gz")

    assert {"q": {"a": 4.0, "b": -2.5}, "p": {"c": 3.0}} == found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"query": "q", "passages": ["a"]}, r"s\.jsonl:1 holds no scores"),
        ({"query": "q", "passage": "a", "score": "high"}, "holds no scores"),
        ({"query": "q", "passages": ["a", "b"], "scores": [1.0]}, "has 2 passages and 1 scores"),
        ({"query": "q", "passage": "a", "score": float("nan")}, "not finite"),
    ],
)
def test_a_line_that_holds_no_scores_is_named(value: dict[str, Any], said: str, tmp_path: Path) -> None:
    """file:line, and what a line should be."""
    with pytest.raises(DataError, match=said):
        read_scores(lines(tmp_path / "s.jsonl", value))


def test_what_nobody_scored_counts_as_the_worst(tmp_path: Path) -> None:
    """Scores by position; scored passages as the file lists them."""
    teacher = StoredTeacher(
        lines(tmp_path / "s", {"query": QUERY, "passages": ["blue whale", "red fox"], "scores": [9, 2]}), TEXT
    )

    assert [2.0, 9.0, 2.0] == teacher.score(0, np.arange(3)).tolist()
    assert [1, 0] == teacher.scored(0)


def test_scores_of_other_texts_are_refused(tmp_path: Path) -> None:
    """How many queries have none, one of them, and what to do."""
    with pytest.raises(DataError, match="for 1 of 1 queries, such as 'which animal swims") as caught:
        StoredTeacher(lines(tmp_path / "s", {"query": QUERY, "passage": "another", "score": 1}), TEXT)

    assert "--as-is" in str(caught.value.tip)


def test_given_negatives_and_scored_passages_are_candidates() -> None:
    """Before BM25's: a passage that shares no word with the query is a candidate all the same."""
    examples = [Example("red fox", ("a red fox",), ("quiet night",))] + [
        Example(f"fox {n}", (f"fox {n}",)) for n in range(9)
    ]
    for text in (plain_text(examples), make_text(examples, seed=0, shortest=1, longest=2)):
        own = {0: list(text.others[0])}

        found = mine(text, {}, {"bm25": 1.0}, hard=2, random=1, own=lambda query, own=own: own.get(query, []))

        assert text.passages[1].startswith("quiet")
        assert [0, 1] == found.candidates[0, :2].tolist()
        assert (1, 2) == (len(text.others[0]), found.hard)


ARGUMENTS = [
    "--as-is",
    "--layers",
    "2",
    "--width",
    "48",
    "--feed-forward",
    "48",
    "--vocabulary",
    "400",
    "--watch",
    "20",
]
QUICK = ["--batch", "8", "--list-size", "6", "--hard", "12", "--threads", "1", "--device", "cpu", "--steps", "2"]


def test_saved_scores_teach_as_their_teacher_did(pairs_file: Path, tmp_path: Path) -> None:
    """A run from the file has the lists and the weights of the run that wrote it, bit for bit, without the teacher."""
    teacher = make_demo_checkpoint(tmp_path / "teacher", hidden=48, layers=2, ffn=48)
    file = tmp_path / "scores.jsonl.gz"

    def run(name: str, *more: str) -> tuple[Lists, bytes]:
        given = ["distill", str(pairs_file), "--output", str(tmp_path / name), *ARGUMENTS, *QUICK, *more]
        assert main(given) == 0
        return Lists.load(tmp_path / f"{name}.work" / "lists.npz"), (tmp_path / name / "model.safetensors").read_bytes()

    asked, weights = run("asked", "--teacher", str(teacher), "--save-teacher-scores", str(file))
    read, same_weights = run("read", "--teacher", f"scores:{file}")

    assert 160 == len(read_scores(file))
    assert (asked.candidates == read.candidates).all()
    assert (asked.scores == read.scores).all()
    assert weights == same_weights


def test_bm25_has_no_scores_to_save(pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is made anew each time."""
    given = ["distill", str(pairs_file), "--output", str(tmp_path / "s"), *ARGUMENTS, *QUICK, "--teacher", "bm25"]

    assert main([*given, "--save-teacher-scores", str(tmp_path / "f.jsonl")]) == 1
    assert "BM25 alone has no scores to save" in capsys.readouterr().err
