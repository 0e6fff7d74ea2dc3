"""Texts of which a model reads nothing, little, or the same as of another."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from rerank_engine.errors import InvalidRequest
from rerank_engine.reranker.engine import Reranker
from rerank_engine.reranker.limits import is_blank
from rerank_engine.reranker.preparing import prepare
from rerank_engine.reranker.tokens import PairTokenizer
from rerank_engine.settings import Settings
from rerank_engine.types import EMPTY_LOGIT, RerankOptions

QUERY = "how does an endpoint scale?"
BLANK = ["", " ", "\n\t \r", "\u00a0\u2003\u3000", "\0\x07\x1b", "\u200b\ufeff\u00ad", "\u2028\u2029"]
TEXT = ["How does an endpoint scale? It adds instances.", "a b c d e f"]


def byte_level() -> PairTokenizer:
    """Which makes a token of every blank and control character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return PairTokenizer(tokenizer)


def unigram(**trained: Any) -> PairTokenizer:
    """Which puts a lone space before what it does not know, and does not tell the id of the unknown."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<s>", "</s>", "<unk>", "\u2581"]
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=specials, unk_token="<unk>", show_progress=False, **trained
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return PairTokenizer(tokenizer)


@pytest.mark.parametrize("order", ["score", "input"])
@pytest.mark.parametrize("score", ["sigmoid", "raw"])
def test_documents_without_tokens_come_last(reranker: Reranker, order: Any, score: Any) -> None:
    """Empty, blank, or nothing that the tokenizer keeps: behind all others, lowest in their place, and told."""
    documents = [*BLANK, "Bananas are yellow.", "An endpoint scales."]

    result = reranker.rerank(QUERY, documents, RerankOptions(order=order, score=score))

    lowest = EMPTY_LOGIT if score == "raw" else 0.0
    ranked = [one.index for one in result.results]
    assert list(range(len(documents))) == (sorted(ranked[2:]) + sorted(ranked[:2]) if order == "score" else ranked)
    assert dict.fromkeys(range(len(BLANK)), lowest) == {
        one.index: one.score for one in result.results if one.index < len(BLANK)
    }
    assert all(one.score > lowest for one in result.results if one.index >= len(BLANK))
    assert tuple(range(len(BLANK))) == result.empty_documents


def test_documents_with_tokens_score_as_ever(reranker: Reranker) -> None:
    """What stands beside them does not show."""
    documents = ["Bananas are yellow.", "An endpoint scales."]
    alone = {one.index: one.logit for one in reranker.rerank(QUERY, documents).results}

    beside = {one.index: one.logit for one in reranker.rerank(QUERY, [*documents, "", " "]).results}

    assert alone == pytest.approx({index: beside[index] for index in alone}, abs=1e-5, rel=0)
    assert [EMPTY_LOGIT, pytest.approx(alone[0], abs=1e-5)] == reranker.score([(QUERY, " "), (QUERY, documents[0])])


@pytest.mark.parametrize("text", BLANK)
def test_tokenizers_that_keep_blanks_are_no_exception(text: str) -> None:
    """Bytes of spaces and control characters are tokens, but nothing to read."""
    prepared = prepare(byte_level(), "q", [text, "a"], RerankOptions(), max_length=64, settings=Settings())

    assert [0, 1] == [document.tokens for document in prepared.documents]


@pytest.mark.parametrize("query", BLANK)
def test_a_query_without_tokens_is_refused(reranker: Reranker, query: str) -> None:
    """There is nothing to rank by, so that any order would be made up."""
    with pytest.raises(InvalidRequest, match="query: is empty") as caught:
        reranker.rerank(query, ["a"])

    assert [("query",)] == [one.field for one in caught.value.fields]


def test_a_query_that_the_tokenizer_strips_is_refused(tiny_checkpoint: Path) -> None:
    """It can be seen, but the model reads nothing of it."""
    from tokenizers import normalizers

    reranker = Reranker.load(tiny_checkpoint, Settings())
    inner = reranker.tokenizer._tokenizer
    inner.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])

    with pytest.raises(InvalidRequest, match="query is empty") as caught:
        reranker.rerank("\u0301", ["a"])
    assert [("query",)] == [one.field for one in caught.value.fields]
    assert (0,) == reranker.rerank("a", ["\u0301", "b"]).empty_documents


@pytest.mark.parametrize(
    ("text", "blank"),
    [*((text, True) for text in BLANK), ("\u200b.", False), ("\0a", False), ("\u0301", False), ("漢", False)],
)
def test_blank_is_what_nobody_sees(text: str, blank: bool) -> None:
    """Spaces of all kinds, control and format characters, and nothing else."""
    assert blank == is_blank(text)


def test_mostly_unknown_texts_are_told(reranker: Reranker) -> None:
    """More than half of the tokens: half is not, and neither is a text without tokens."""
    known, unknown = "endpoint", "漢字"

    [document] = [reranker.rerank(known, [known, unknown, f"{known} 漢", f"{known} {unknown}", ""])]
    query = reranker.rerank(unknown, [known])

    assert ((1, 3), (4,), False) == (document.unknown_documents, document.empty_documents, document.query_unknown)
    assert ((), True) == (query.unknown_documents, query.query_unknown)


@pytest.mark.parametrize(
    ("text", "unknown"), [("漢字", True), ("漢字 漢字", True), ("endpoint 漢字", False), ("", False)]
)
def test_sentencepieces_lone_space_does_not_make_a_text_known(text: str, unknown: bool) -> None:
    """The unknown is one token there, whatever its length, with a space before it that says nothing."""
    tokenizer = unigram()

    assert unknown == tokenizer.mostly_unknown(tokenizer.encode_query(text))


def test_bytes_are_never_unknown() -> None:
    """A tokenizer of bytes has a token for everything."""
    tokenizer = byte_level()

    assert not tokenizer.mostly_unknown(tokenizer.encode_query("漢字"))


def test_equal_tokens_are_one_document(reranker: Reranker) -> None:
    """Other case, other blanks, the same tokens: computed once, equal to the last digit, in the caller's order."""
    same = ["Async endpoints scale.", "ASYNC endpoints scale.", "async  endpoints\nscale.", " Async Endpoints Scale."]
    documents = [same[0], "Bananas are yellow. " * 9, *same[1:], "An endpoint scales."]

    prepared = reranker.prepare(QUERY, documents)
    results = reranker.rerank(QUERY, documents).results

    assert 3 == len(prepared.pairs)
    assert 1 == len({one.logit for one in results if one.index not in (1, 5)})
    assert [0, 2, 3, 4] == [one.index for one in results if one.index not in (1, 5)]


def test_equal_tokens_keep_spans_and_cuts_of_their_own(tiny_checkpoint: Path) -> None:
    """One is cut where the other ends: one pair, but only one of them is truncated, and characters are each text's."""
    reranker = Reranker.load(tiny_checkpoint, Settings(max_chunks_per_document=1))
    options = RerankOptions(max_tokens_per_document=3, locate=True)

    result = reranker.rerank("q", ["a b c", "A  B  C  d"], options)

    assert [(0, False, (0, 5)), (1, True, (0, 7))] == [(one.index, one.truncated, one.span) for one in result.results]
    assert 1 == len(reranker.prepare("q", ["a b c", "A  B  C  d"], options).pairs)


def test_equal_chunks_have_equal_logits(tiny_checkpoint: Path) -> None:
    """Of one document and of several, with whatever they are batched."""
    reranker = Reranker.load(tiny_checkpoint, Settings(token_budget=40, chunk_tokens=10, chunk_overlap=0))
    ten = "endpoint scales with requests and adds more instances each hour "
    documents = [ten * 3, "Bananas are yellow and sweet. " * 5, ten.upper()]
    prepared = reranker.prepare("scale", documents)

    logits = reranker.forward([pair.ids for pair in prepared.pairs])

    ids = [tuple(pair.ids) for pair in prepared.pairs]
    assert len(set(ids)) < len(ids)
    assert len(set(ids)) == len(set(zip(ids, logits, strict=True)))
