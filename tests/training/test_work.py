"""Training goes on with prepared data only where it is of the very files at hand."""

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerank_bundle.demo import make_demo_checkpoint
from rerank_ops.cli import main
from rerank_training import teachers
from rerank_training.contents import digest_of
from rerank_training.errors import DataError, ScorerError
from rerank_training.mining import Lists
from rerank_training.prepare import DataOptions, prepare
from rerank_training.state import FILE as STATE

SMALL = ["--batch", "4", "--list-size", "4", "--hard", "6", "--watch", "4", "--threads", "1", "--device", "cpu"]


def quiet(what: str, done: float) -> None:
    """Reports to nobody."""


def options(pairs: Path, **more: Any) -> DataOptions:
    return DataOptions(**({"pairs": (pairs,), "teacher": "bm25", "shape": False, "hard": 6, "vocabulary": 300} | more))


def shuffle(path: Path) -> None:
    """The lines in another order: the file is as large as before."""
    size = path.stat().st_size
    lines = path.read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    path.write_text("".join(lines))
    assert size == path.stat().st_size


def touch_weights(file: Path) -> None:
    """One bit of the last weight changes; the size does not."""
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)


def test_a_shuffled_file_is_mined_anew(pairs_file: Path, tmp_path: Path) -> None:
    """Its lists are those of a run that never saw the other order, and what is prepared anew is said."""
    prepare(options(pairs_file), tmp_path / "work", quiet)
    shuffle(pairs_file)
    said: list[str] = []

    found = prepare(options(pairs_file), tmp_path / "work", lambda what, done: said.append(what))

    expected = prepare(options(pairs_file), tmp_path / "other", quiet)
    assert expected.text.queries == found.text.queries
    assert (expected.lists.candidates == found.lists.candidates).all()
    assert (found.lists.candidates[:, 0] == np.arange(len(found.text.queries))).all()
    assert any("preparing anew" in what and "pairs.jsonl holds other contents" in what for what in said)


def test_the_same_contents_are_prepared_once(pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was only touched or rewritten as it was is not mined again."""
    first = prepare(options(pairs_file), tmp_path / "work", quiet)
    pairs_file.write_bytes(pairs_file.read_bytes())
    monkeypatch.setattr("rerank_training.prepare.mine", None)

    again = prepare(options(pairs_file), tmp_path / "work", quiet)

    assert first.fingerprint == again.fingerprint
    assert (first.lists.scores == again.lists.scores).all()


@pytest.mark.parametrize("part", ["pairs", "exclude", "scores", "tokenizer", "teacher"])
def test_every_file_that_is_read_decides(part: str, pairs_file: Path, tmp_path: Path) -> None:
    """A state that was trained on other contents is refused by the name of what changed, whichever it is."""
    checkpoint = make_demo_checkpoint(tmp_path / "teacher", hidden=48, layers=2, ffn=48)
    stored = tmp_path / "stored.jsonl"
    pairs = [json.loads(line) for line in pairs_file.read_text().splitlines()]
    stored.write_text("".join(json.dumps({**pair, "score": 1.5}) + "\n" for pair in pairs))
    collection = tmp_path / "exclude"
    (collection / "qrels").mkdir(parents=True)
    (collection / "corpus.jsonl").write_text('{"_id": "d", "text": "one text"}\n')
    (collection / "queries.jsonl").write_text('{"_id": "q", "text": "a query"}\n')
    (collection / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    given, file = {
        "pairs": ({}, pairs_file),
        "exclude": ({"exclude": (collection,)}, collection / "corpus.jsonl"),
        "scores": ({"teacher": f"scores:{stored}"}, stored),
        "tokenizer": ({"tokenizer": checkpoint / "tokenizer.json"}, checkpoint / "tokenizer.json"),
        "teacher": ({"teacher": str(checkpoint), "sample": 12}, checkpoint / "model.safetensors"),
    }[part]
    wanted = options(pairs_file, **given)
    work = tmp_path / "work"
    prepare(wanted, work, quiet)
    (work / STATE).write_bytes(b"trained")
    size = file.stat().st_size
    touch_weights(file) if part == "teacher" else file.write_bytes(swapped(file.read_bytes()))
    assert size == file.stat().st_size

    named = part if part in ("teacher", "exclude") else file.name  # folders are hashed as one
    with pytest.raises(DataError, match=f"{named} holds other"):
        prepare(wanted, work, quiet)


def swapped(content: bytes) -> bytes:
    """`content` with one letter of its last word changed."""
    place = max(n for n, byte in enumerate(content) if chr(byte).isalpha())
    return content[:place] + (b"z" if content[place : place + 1] != b"z" else b"y") + content[place + 1 :]


def test_embeddings_are_of_the_weights_and_texts_they_were_made_of(
    bi_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept for the same, made anew for weights or texts that are other ones, be they as many and as large."""
    made: list[str] = []

    def encode(folder: Path, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        before = len(made)
        found = teachers._embedded(
            folder, "queries", tuple(texts), tmp_path, bf16=False, report=lambda what, done: made.append(what)
        )
        told.append(len(made) > before)
        return found

    told: list[bool] = []
    first = encode(bi_encoder, ["a b", "c d"])
    same = encode(bi_encoder, ["a b", "c d"])
    other_order = encode(bi_encoder, ["c d", "a b"])
    touch_weights(bi_encoder / "model.safetensors")
    encode(bi_encoder, ["c d", "a b"])
    (tmp_path / "queries.npz").write_bytes(b"half a fi")
    encode(bi_encoder, ["c d", "a b"])

    assert [True, False, True, True, True] == told
    assert (first == same).all()
    assert np.allclose(first, other_order[::-1], atol=1e-5)


@pytest.mark.parametrize("trained", [False, True])
def test_what_an_earlier_version_prepared_is_not_trusted(pairs_file: Path, tmp_path: Path, trained: bool) -> None:
    """It knew files by their sizes: its lists are made anew, and a state that was trained on them is refused."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "fingerprint").write_text("0123456789abcdef")
    Lists(np.zeros((160, 8), np.int32), np.zeros((160, 8), np.float32), np.ones(160, bool), 6).save(work / "lists.npz")
    if trained:
        (work / STATE).write_bytes(b"trained")
        with pytest.raises(DataError, match="an earlier version of this kit prepared it, which told files apart by"):
            prepare(options(pairs_file), work, quiet)
        return

    found = prepare(options(pairs_file), work, quiet)

    assert found.lists.scores.any()
    assert not (work / "fingerprint").exists()


def test_a_folder_that_no_run_left_is_not_taken(pairs_file: Path, tmp_path: Path) -> None:
    """--work at a checkpoint's folder: its tokenizer.json is neither used nor removed."""
    folder = make_demo_checkpoint(tmp_path / "checkpoint", hidden=48, layers=2, ffn=48)
    before = digest_of(folder)

    with pytest.raises(DataError, match=r"holds tokenizer\.json, which no run left there"):
        prepare(options(pairs_file), folder, quiet)
    assert before == digest_of(folder)


def test_scores_are_not_saved_over_those_of_another_run(pairs_file: Path, tmp_path: Path) -> None:
    """A file that this run did not write is refused, not passed over as if it were its own."""
    teacher = make_demo_checkpoint(tmp_path / "teacher", hidden=48, layers=2, ffn=48)
    wanted, file = options(pairs_file, teacher=str(teacher), sample=12), tmp_path / "scores.jsonl"
    prepare(wanted, tmp_path / "work", quiet, file)
    first = file.read_bytes()
    prepare(wanted, tmp_path / "work", quiet, file)

    with pytest.raises(DataError, match="exists, and this run did not write it"):
        prepare(replace(wanted, seed=1), tmp_path / "other", quiet, file)
    assert first == file.read_bytes()


def test_other_weights_to_start_from_are_another_run(pairs_file: Path, tmp_path: Path) -> None:
    """A state of the checkpoint that lay there before is refused; the path alone says nothing."""
    start = make_demo_checkpoint(tmp_path / "start", hidden=48, layers=2, ffn=48)
    given = ["finetune", str(start), str(pairs_file), "--output", str(tmp_path / "s"), *SMALL, "--steps", "2"]
    assert main(given) == 0
    assert main(given) == 0
    touch_weights(start / "model.safetensors")

    assert main(given) == 1


def test_a_run_that_failed_does_not_stand_in_the_way_of_the_next(
    pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prepared, then refused before its first step: the corrected command prepares anew and goes through."""
    start = make_demo_checkpoint(tmp_path / "start", hidden=48, layers=2, ffn=48)
    given = ["finetune", str(start), str(pairs_file), "--output", str(tmp_path / "s"), *SMALL]

    assert main([*given, "--hard", "400", "--sample", "3"]) == 1
    assert main([*given, "--learning-rate", "nan", "--steps", "2"]) == 1
    assert main([*given, "--steps", "2"]) == 0
    assert (tmp_path / "s" / "model.safetensors").is_file()


def test_a_damaged_marker_is_prepared_anew(pairs_file: Path, tmp_path: Path) -> None:
    """It may be half a file: nothing is known of the data then."""
    prepare(options(pairs_file), tmp_path / "work", quiet)
    (tmp_path / "work" / "prepared.json").write_text('{"format": 2')

    assert prepare(options(pairs_file), tmp_path / "work", quiet).lists.scores.any()


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    """Files that changed places are another folder; what is no part of a model does not count."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, (first, second) in ((one, "ab"), (other, "ba")):
        folder.mkdir()
        (folder / "first.json").write_text(first)
        (folder / "second.json").write_text(second)
    before = digest_of(one)
    (one / "README.md").write_text("a card")

    assert before == digest_of(one)
    assert before != digest_of(other)
    assert "" == digest_of(tmp_path / "nothing")
    shutil.rmtree(other)
    shutil.copytree(one, other)
    assert before == digest_of(other)


def test_a_teacher_that_is_not_there_is_told_before_anything_is_read(pairs_file: Path, tmp_path: Path) -> None:
    """Its name is an error of its own."""
    for name in ("biencoder:nowhere", "nowhere"):
        with pytest.raises(ScorerError, match="nowhere"):
            prepare(options(pairs_file, teacher=name), tmp_path / "work", quiet)
    with pytest.raises(DataError, match=r"nowhere\.jsonl does not exist"):
        prepare(options(pairs_file, teacher="scores:nowhere.jsonl"), tmp_path / "work", quiet)
    assert not (tmp_path / "work").exists()
