"""Documents that do not fit the window: split, scored, put together again."""

from pathlib import Path
from statistics import fmean

import pytest

from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_engine.types import RerankOptions, Timings

QUERY = "which endpoint"
LONG = " ".join(f"word{number} endpoint, naïve 😀 text." for number in range(60))


@pytest.fixture(scope="module")
def short(tiny_checkpoint: Path) -> Reranker:
    """A reranker with a window of 64 tokens, of which neighbouring chunks share 8."""
    return Reranker.load(tiny_checkpoint, Settings(max_length=64, chunk_overlap=8, max_chunks_per_document=100))


def test_a_long_document_scores_as_its_best_chunk(short: Reranker) -> None:
    """Its logit is the highest among its chunks', nothing is cut, and every token is read."""
    prepared = short.prepare(QUERY, ["a b", LONG])
    logits = short.forward([pair.ids for pair in prepared.pairs])

    result = short.rerank(QUERY, ["a b", LONG])

    long = next(document for document in result.results if document.index == 1)
    assert max(logits[1:]) == pytest.approx(long.logit, abs=1e-5)
    assert (False, ()) == (long.truncated, result.truncated_documents)
    assert len(short.tokenizer.encode_documents([LONG])[0]) == long.tokens
    assert len(prepared.pairs) - 1 == long.chunks > 1
    assert all(len(pair.ids) <= 64 for pair in prepared.pairs)


def test_the_best_chunk_is_named_with_its_characters(short: Reranker) -> None:
    """Scored alone, the text between its offsets is the chunk that won: the same tokens, the same logit."""
    best = short.rerank(QUERY, [LONG], RerankOptions(locate=True)).results[0]
    assert best.span is not None
    start, stop = best.span

    [alone] = short.score([(QUERY, LONG[start:stop])])

    assert best.logit == pytest.approx(alone, abs=0.05)
    assert stop - start < len(LONG)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", RerankOptions(locate=True), (0, 0)),
        ("a b c", RerankOptions(locate=True), (0, 5)),
        ("a b c d", RerankOptions(locate=True, max_tokens_per_document=2), (0, 3)),
        ("a b c", RerankOptions(), None),
    ],
)
def test_spans_of_short_documents(
    short: Reranker, text: str, options: RerankOptions, expected: tuple[int, int] | None
) -> None:
    """What is read whole is covered whole, what is cut up to the cut, and nothing is looked up unasked."""
    assert expected == short.rerank(QUERY, [text], options).results[0].span


def test_spans_tile_the_document(short: Reranker) -> None:
    """The chunks' characters overlap and leave none out."""
    document = short.prepare(QUERY, [LONG], RerankOptions(locate=True)).documents[0]

    starts, stops = zip(*document.spans, strict=True)
    assert (0, len(LONG)) == (starts[0], stops[-1])
    assert all(start < stop for start, stop in zip(starts[1:], stops, strict=False))


def test_mean_of_the_best_chunks(short: Reranker) -> None:
    """`mean_top_k` averages logits; the winning chunk is still the best one."""
    prepared = short.prepare(QUERY, [LONG], RerankOptions(aggregate="mean_top_k", aggregate_top_k=2))
    logits = [0.0] * len(prepared.pairs)
    logits[1], logits[3] = 4.0, 2.0

    [document] = short.finish(prepared, logits, Timings()).results

    assert (fmean([4.0, 2.0]), 1) == (document.logit, document.best_chunk)


def test_chunks_beyond_the_limit_are_cut_and_reported(short: Reranker) -> None:
    """With two chunks the rest of the document is not read, and that is said."""
    result = short.rerank(QUERY, [LONG], RerankOptions(max_chunks_per_document=2))

    assert ((0,), 2) == (result.truncated_documents, result.results[0].chunks)


def test_short_chunks_on_request(short: Reranker) -> None:
    """A chunk length below the window splits documents that would fit."""
    result = short.rerank(QUERY, ["a b c d e f"], RerankOptions(chunk_tokens=2, chunk_overlap=0))

    assert (3, 6) == (result.results[0].chunks, result.results[0].tokens)
    assert 3 * (4 + result.usage.query_tokens) + 6 == result.usage.total_tokens


def test_without_truncation_chunks_are_no_cut(short: Reranker) -> None:
    """A long document loses nothing when it is split, so `truncate: false` does not refuse it."""
    result = short.rerank(QUERY, [LONG], RerankOptions(truncate=False))

    assert result.results[0].chunks > 1
