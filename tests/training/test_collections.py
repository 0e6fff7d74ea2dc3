"""BEIR folders, runs, BM25, passages, training data."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_training.beir import Document, read_collection
from rerank_training.bm25 import Bm25
from rerank_training.chunking import Chunking, passages
from rerank_training.errors import DataError
from rerank_training.metrics import per_query
from rerank_training.runs import bm25_run, read_run, write_run
from rerank_training.texts import Example, Excluded, read_examples

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_a_collection_is_read_and_cut_to_its_first_queries(make_collection: Callable[..., Path]) -> None:
    """Queries without judgements are left out; a subset keeps the judgements of its queries alone."""
    folder = make_collection(size=5)
    with (folder / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "unjudged", "text": "x"}) + "\n")

    found = read_collection(folder)

    assert (len(found.documents), len(found.queries), found.name) == (5, 5, "toy")
    assert found.subset(2).qrels == {"q0": {"d0": 1}, "q1": {"d1": 1}}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("qrels/test.tsv", "head\nq0 d0 1\n", "separated by tabs"),
        ("corpus.jsonl", '{"_id": "a"}\n{"_id": "a"}\n', "corpus.jsonl:2"),
        ("queries.jsonl", "{nonsense\n", "cannot be read"),
    ],
)
def test_a_malformed_collection_is_named_by_file(
    make_collection: Callable[..., Path], file: str, content: str, said: str
) -> None:
    """The message says which file, and where it can which line."""
    folder = make_collection(size=3)
    (folder / file).write_text(content, encoding="utf-8")

    with pytest.raises(DataError, match=said):
        read_collection(folder)


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named_with_the_layout(make_collection: Callable[..., Path], file: str) -> None:
    """Whoever gives a folder of another kind learns what a collection is."""
    folder = make_collection(size=3)
    (folder / file).unlink()

    with pytest.raises(DataError, match=rf"{file} does not exist") as caught:
        read_collection(folder)
    assert "qrels/test.tsv" in str(caught.value.tip)


def test_runs_survive_the_disk(tmp_path: Path) -> None:
    """A run read back is the run written, best first."""
    run = {"q1": [("d2", 3.5), ("d1", 3.25)], "q2": [("d1", -1.0)]}
    write_run(tmp_path / "run.trec", run, "tag")

    assert read_run(tmp_path / "run.trec") == run


def test_bm25_is_the_same_each_time_and_breaks_ties_by_position() -> None:
    """Two indices over the same texts agree to the bit; equal texts come in their order."""
    texts = ["red fox", "blue whale", "red fox", "a red red fox"]

    first, second = (Bm25(texts).search(["fox", "whale", "the of"], 4) for _ in range(2))

    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()
    assert list(first[0][0][:3]) in ([0, 2, 3], [3, 0, 2])
    assert list(first[0][2]) == [0, 1, 2, 3]  # stop words alone find nothing: all score 0


def test_bm25_reproduces_the_stored_run() -> None:
    """On xquad-en, BM25 made on the spot ranks as well as the stored run does."""
    if not (SHARED / "xquad-en").is_dir():
        pytest.skip("../shared/data/xquad-en not present")
    collection = read_collection(SHARED / "xquad-en")
    stored = read_run(SHARED / "xquad-en" / "bm25_k0.9_b0.4_top100.trec")

    means = [
        sum(per_query(collection.qrels, run, ["nDCG@10"])["nDCG@10"].values()) / len(collection.queries)
        for run in (stored, bm25_run(collection))
    ]

    assert means[1] == pytest.approx(means[0], abs=0.005)
    assert means[0] == pytest.approx(0.967, abs=0.001)


@given(count=st.integers(0, 500), words=st.integers(1, 80), overlap=st.integers(0, 79), title=st.booleans())
def test_passages_hold_every_word_and_none_is_too_long(count: int, words: int, overlap: int, title: bool) -> None:
    """Windows overlap, begin with the title when asked to, and the last ends with the document."""
    document = Document("T" if title else "", " ".join(f"w{n}" for n in range(count)))

    found = passages(document, Chunking(words, min(overlap, words - 1)))

    bodies = [passage.split() for passage in found]
    assert not title or all(body[0] == "T" for body in bodies)
    plain = [body[1:] if title else body for body in bodies]
    assert {word for body in plain for word in body} == {f"w{n}" for n in range(count)}
    assert all(len(body) <= words for body in plain)
    assert len(plain) == 1 or all(len(body) == words for body in plain)


def test_whole_documents_are_one_passage() -> None:
    """Chunking of 0 words cuts nothing."""
    assert passages(Document("Title", "a b c"), Chunking(0, 0)) == ["Title\na b c"]


def test_examples_come_in_three_forms_gzipped_or_not(tmp_path: Path) -> None:
    """Pairs, triples and bare passages."""
    lines = [
        {"query": "q", "passage": "p", "page": "T"},
        {"query": "q", "positive": "p", "negatives": ["n"]},
        {"query": "q", "passages": ["a", "b"]},
    ]
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)

    assert read_examples([path]) == [
        Example("q", ("p",), (), "T"),
        Example("q", ("p",), ("n",)),
        Example("q", (), ("a", "b")),
    ]


def test_a_line_without_a_passage_is_named(tmp_path: Path) -> None:
    """file:line is in the message."""
    (tmp_path / "p.jsonl").write_text('{"query": "a", "passage": "b"}\n{"query": "a"}\n', encoding="utf-8")

    with pytest.raises(DataError, match=r"p\.jsonl:2 has no passage"):
        read_examples([tmp_path / "p.jsonl"])


def test_evaluation_queries_and_documents_are_kept_out_however_they_are_written() -> None:
    """Lower-cased and with other spacing they are still copies."""
    excluded = Excluded(["Who won Super Bowl 50?"], ["The AFC champion Denver Broncos defeated the NFC champion."])

    assert excluded.keeps_out(Example("who won super bowl 50 ?", ("anything",)))
    assert excluded.keeps_out(Example("other", ("the afc champion denver broncos defeated the nfc champion.",)))
    assert not excluded.keeps_out(Example("other", ("the afc champion of another year was somebody else",)))


def test_every_query_of_xquad_is_in_the_training_file_and_none_survives() -> None:
    """The shared training pairs contain all evaluation queries of xquad-en: --exclude is what keeps a run honest."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data not present")
    collection = read_collection(SHARED / "xquad-en")
    excluded = Excluded(collection.queries.values(), [d.text for d in collection.documents.values()])
    examples = read_examples([SHARED / "train" / "squad_sentence_pairs_dev.jsonl"])

    kept = [example for example in examples if not excluded.keeps_out(example)]

    known = {query.lower().replace(" ", "") for query in collection.queries.values()}
    assert sum(example.query.replace(" ", "") in known for example in examples) > 1000
    assert sum(example.query.replace(" ", "") in known for example in kept) == 0
    assert len(kept) > 9000
