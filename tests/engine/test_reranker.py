"""Text in, ranking out."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rerank_engine.errors import CheckpointError, InvalidRequest, SettingsError
from rerank_engine.models import CrossEncoder
from rerank_engine.models.checkpoint import Checkpoint
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_engine.types import RerankOptions, Timings

QUERY = "how does an endpoint scale?"
DOCUMENTS = [
    "An endpoint scales with the number of concurrent requests.",
    "",
    "Bananas are yellow. " * 40,
    "A batch transform job reads and writes S3.",
    "An endpoint scales with the number of concurrent requests.",
    "Ü – 漢字 – \0 – end",
]


def test_results_are_best_first_and_indices_the_callers(reranker: Reranker) -> None:
    """Every document once, by falling logit."""
    results = reranker.rerank(QUERY, DOCUMENTS).results

    assert list(range(len(DOCUMENTS))) == sorted(one.index for one in results)
    assert sorted((one.logit for one in results), reverse=True) == [one.logit for one in results]


def test_logits_are_those_of_single_pairs(reranker: Reranker) -> None:
    """A document scores alone as in any batch."""
    alone = [reranker.score([(QUERY, document)])[0] for document in DOCUMENTS]

    together = {one.index: one.logit for one in reranker.rerank(QUERY, DOCUMENTS).results}

    assert alone == pytest.approx([together[index] for index in range(len(DOCUMENTS))], abs=1e-5, rel=0)


@pytest.mark.parametrize(("token_budget", "max_batch_pairs"), [(16, 512), (60, 2), (1000, 1)])
def test_the_plan_of_batches_does_not_show(
    tiny_checkpoint: Path, reranker: Reranker, token_budget: int, max_batch_pairs: int
) -> None:
    """Whatever the budget, the same logits."""
    expected = reranker.score([(QUERY, document) for document in DOCUMENTS])
    other = Reranker.load(tiny_checkpoint, Settings(token_budget=token_budget, max_batch_pairs=max_batch_pairs))

    assert expected == pytest.approx(other.score([(QUERY, document) for document in DOCUMENTS]), abs=1e-5, rel=0)


def test_permuting_documents_permutes_results(reranker: Reranker) -> None:
    """Scores belong to documents, not to positions."""
    logits = {DOCUMENTS[one.index]: one.logit for one in reranker.rerank(QUERY, DOCUMENTS).results}

    turned = reranker.rerank(QUERY, DOCUMENTS[::-1]).results

    for one in turned:
        assert logits[DOCUMENTS[::-1][one.index]] == pytest.approx(one.logit, abs=1e-5, rel=0)


def test_two_calls_are_identical(reranker: Reranker) -> None:
    """To the last bit."""
    assert reranker.rerank(QUERY, DOCUMENTS).results == reranker.rerank(QUERY, DOCUMENTS).results


def test_equal_documents_tie_in_the_callers_order(reranker: Reranker) -> None:
    """They get the very same logit, because they are scored once."""
    results = reranker.rerank(QUERY, ["same", "other words", "same", "same"]).results

    assert [0, 2, 3] == [one.index for one in results if one.index != 1]
    assert 1 == len({one.logit for one in results if one.index != 1})


def test_equal_documents_are_one_pair(reranker: Reranker) -> None:
    """Which is scored once."""
    prepared = reranker.prepare(QUERY, ["same", "other", "same"])

    assert [range(1), range(1, 2), range(1)] == [document.pairs for document in prepared.documents]
    assert 2 == len(prepared.pairs)


def test_scores_are_sigmoids_of_logits(reranker: Reranker) -> None:
    """In (0, 1), however extreme the logit."""
    prepared = reranker.prepare(QUERY, ["a", "b", "c"])

    results = reranker.finish(prepared, [-800.0, 0.0, 2.0], Timings()).results

    assert [0.8807970779778823, 0.5, 0.0] == pytest.approx([one.score for one in results], abs=1e-15)


@pytest.mark.parametrize(("top_n", "kept"), [(1, 1), (4, 4), (100, 6)])
def test_top_n_keeps_the_best(reranker: Reranker, top_n: int, kept: int) -> None:
    """As keyword or as option; more than there are is all of them."""
    every = reranker.rerank(QUERY, DOCUMENTS).results

    assert every[:kept] == reranker.rerank(QUERY, DOCUMENTS, top_n=top_n).results
    assert every[:kept] == reranker.rerank(QUERY, DOCUMENTS, RerankOptions(top_n=top_n)).results


def test_usage_counts_what_the_model_saw(reranker: Reranker) -> None:
    """Four special tokens and the query once a document, documents that top_n drops included."""
    query, documents = "endpoint", ["one", "one two", "one"]
    query_tokens = len(reranker.tokenizer.encode_query(query))
    document_tokens = sum(map(len, reranker.tokenizer.encode_documents(documents)))

    usage = reranker.rerank(query, documents, top_n=1).usage

    assert (query_tokens, document_tokens) == (usage.query_tokens, usage.document_tokens)
    assert 3 * (query_tokens + 4) + document_tokens == usage.total_tokens


def test_times_are_told(reranker: Reranker) -> None:
    """Of tokenising and of the forward pass; nothing queued."""
    timings = reranker.rerank(QUERY, DOCUMENTS).timings

    assert timings.tokenize_s > 0
    assert timings.forward_s > 0
    assert 0 == timings.queue_s


def test_long_documents_are_cut_and_reported(tiny_checkpoint: Path) -> None:
    """The query is kept whole; the pair fills the window exactly."""
    short = Reranker.load(tiny_checkpoint, Settings(max_length=64, max_chunks_per_document=1))
    query_tokens = len(short.tokenizer.encode_query(QUERY))

    result = short.rerank(QUERY, ["a b c", "endpoint " * 500])

    assert (1,) == result.truncated_documents
    assert not result.query_truncated
    by_index = {one.index: one for one in result.results}
    assert (False, True) == (by_index[0].truncated, by_index[1].truncated)
    assert 64 - 4 - query_tokens == by_index[1].tokens


def test_long_queries_are_cut_to_their_share_and_reported(tiny_checkpoint: Path) -> None:
    """Three quarters of the window, so that the document has room."""
    short = Reranker.load(tiny_checkpoint, Settings(max_length=64))

    result = short.rerank("endpoint " * 500, ["a b c"])

    assert result.query_truncated
    assert 45 == result.usage.query_tokens
    assert 3 == result.usage.document_tokens


def test_max_query_tokens_cuts_the_query(tiny_checkpoint: Path) -> None:
    """Even where the window has room."""
    short = Reranker.load(tiny_checkpoint, Settings(max_query_tokens=5))

    result = short.rerank("a b c d e f g", ["x"])

    assert (5, True) == (result.usage.query_tokens, result.query_truncated)


def test_max_tokens_per_document_cuts_documents(reranker: Reranker) -> None:
    """And counts as truncation."""
    result = reranker.rerank(QUERY, ["a b c d", "a b"], RerankOptions(max_tokens_per_document=3))

    assert (0,) == result.truncated_documents
    assert 5 == result.usage.document_tokens


def test_without_truncation_a_long_text_is_refused(tiny_checkpoint: Path) -> None:
    """Naming each, its tokens and how many fit."""
    short = Reranker.load(tiny_checkpoint, Settings(max_length=64, max_chunks_per_document=1))
    options = RerankOptions(truncate=False)

    with pytest.raises(InvalidRequest, match=r"documents\.1 has 500 tokens, 59 fit") as caught:
        short.rerank("a", ["b", "c " * 500], options)
    assert [("documents", 1)] == [one.field for one in caught.value.fields]
    with pytest.raises(InvalidRequest, match=r"query has 46 tokens, 45 fit"):
        short.rerank("a " * 46, ["b"], options)


def test_without_truncation_what_fits_is_scored(tiny_checkpoint: Path) -> None:
    """Up to the last token."""
    short = Reranker.load(tiny_checkpoint, Settings(max_length=64))

    result = short.rerank("a", ["b", "c " * 59], RerankOptions(truncate=False))

    assert () == result.truncated_documents


@pytest.mark.parametrize(
    ("query", "documents", "options", "field"),
    [
        ("q", [], RerankOptions(), ("documents",)),
        ("q", "abc", RerankOptions(), ("documents",)),
        ("q", ["a", 3], RerankOptions(), ("documents", 1)),
        (None, ["a"], RerankOptions(), ("query",)),
        ("q", ["a"], RerankOptions(top_n=0), ("top_n",)),
        ("q", ["a"], RerankOptions(max_tokens_per_document=0), ("max_tokens_per_document",)),
        ("q", ["a"] * 10_001, RerankOptions(), ("documents",)),
    ],
)
def test_requests_that_cannot_be_scored_are_refused(
    reranker: Reranker, query: Any, documents: Any, options: RerankOptions, field: tuple[str | int, ...]
) -> None:
    """With the field that is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        reranker.rerank(query, documents, options)

    assert [field] == [one.field for one in caught.value.fields]


def test_every_wrong_field_is_named_at_once(reranker: Reranker) -> None:
    """One round trip to mend them all."""
    with pytest.raises(InvalidRequest) as caught:
        reranker.prepare("q", ["a", None, 1], RerankOptions(top_n=-1))  # type: ignore[list-item]

    assert [("documents", 1), ("documents", 2), ("top_n",)] == [one.field for one in caught.value.fields]


def test_score_takes_pairs_of_many_queries(reranker: Reranker) -> None:
    """Logits in the order of the pairs, repeated pairs included."""
    pairs = [("a", "x y"), ("b", "x y"), ("a", "z"), ("a", "x y")]
    expected = [reranker.rerank(query, [document]).results[0].logit for query, document in pairs]

    assert expected == pytest.approx(reranker.score(pairs), abs=1e-5, rel=0)
    assert [] == reranker.score([])


def test_the_canary_of_a_bare_checkpoint_is_a_fixed_pair(reranker: Reranker) -> None:
    """It has no expected value, but must be a number."""
    assert reranker.canary is None
    assert abs(reranker.check_canary()) < 100


def test_a_reranker_says_what_it_is(reranker: Reranker, tiny_checkpoint: Path) -> None:
    """For logs, metrics and answers."""
    stored = (tiny_checkpoint / "model.safetensors").stat().st_size

    assert ("rerank-demo", "jina_bert", 8192) == (reranker.model_name, reranker.family, reranker.max_length)
    assert reranker.meaningless_scores
    assert 4 * reranker.parameter_count == pytest.approx(stored, rel=0.02)


@pytest.mark.parametrize("max_length", [1, 5])
def test_a_window_without_room_for_text_is_refused(tiny_checkpoint: Path, max_length: int) -> None:
    """Four special tokens, one of the query and one of the document are the least."""
    with pytest.raises(SettingsError, match=f"RERANK_MAX_LENGTH is {max_length}. A pair takes at least 6 tokens"):
        Reranker.load(tiny_checkpoint, Settings(max_length=max_length))


def test_a_window_beyond_the_checkpoints_own_is_allowed_where_positions_are_relative(tiny_checkpoint: Path) -> None:
    """ALiBi extrapolates."""
    assert 20_000 == Reranker.load(tiny_checkpoint, Settings(max_length=20_000)).max_length


class Learned(CrossEncoder):
    """A family with a table of 512 positions."""

    family, vocab_size, window, max_positions = "learned", 10_000, 510, 512

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, 1)


def test_a_window_beyond_learned_positions_is_refused(reranker: Reranker) -> None:
    """The table has no row for the rest."""
    checkpoint = Checkpoint(config={}, name="learned")

    assert 512 == Reranker(Learned(), reranker.tokenizer, checkpoint, Settings(max_length=512)).max_length
    with pytest.raises(SettingsError, match="RERANK_MAX_LENGTH is 513, but this model has 512 positions"):
        Reranker(Learned(), reranker.tokenizer, checkpoint, Settings(max_length=513))


def test_a_tokenizer_of_another_checkpoint_is_refused(reranker: Reranker) -> None:
    """More tokens than embedding rows."""
    model = Learned()
    model.vocab_size = 10

    with pytest.raises(CheckpointError, match="10 rows: they are not of the same checkpoint"):
        Reranker(model, reranker.tokenizer, Checkpoint(config={}, name="other"), Settings())


def test_gaps_of_the_heap_are_offered_back_after_each_call(monkeypatch: pytest.MonkeyPatch, reranker: Reranker) -> None:
    calls = []
    monkeypatch.setattr("rerank_engine.reranker.engine.give_back", lambda: calls.append("back"))

    reranker.forward([[0, 5, 2]])

    assert calls == ["back"]
