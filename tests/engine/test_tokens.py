"""From text to token ids."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rerank_engine.errors import CheckpointError
from rerank_engine.reranker.engine import Reranker
from rerank_engine.reranker.tokens import PairTokenizer

VOCABULARY = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "c": 5, "�": 6}
CLS, SEP = ("[CLS]", 1), ("[SEP]", 2)
POST_PROCESSORS = {
    "roberta": (processors.RobertaProcessing(SEP, CLS), [1], [2, 2], [2]),
    "bert": (processors.BertProcessing(SEP, CLS), [1], [2], [2]),
    "template": (
        processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[CLS, SEP]
        ),
        [1],
        [2],
        [2],
    ),
    "template without ends": (
        processors.TemplateProcessing(single="$A", pair="$A [SEP] $B", special_tokens=[SEP]),
        [],
        [2],
        [],
    ),
    "sequence": (
        processors.Sequence([processors.ByteLevel(), processors.RobertaProcessing(SEP, CLS)]),
        [1],
        [2, 2],
        [2],
    ),
}


def word_tokenizer(post_processor: Any = POST_PROCESSORS["roberta"][0]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if post_processor is not None:
        tokenizer.post_processor = post_processor
    return tokenizer


@pytest.mark.parametrize("kind", POST_PROCESSORS)
def test_the_pair_template_is_the_post_processors(kind: str, tmp_path: Path) -> None:
    """Ids come from tokenizer.json, of whatever kind its post-processor is."""
    post_processor, prefix, middle, suffix = POST_PROCESSORS[kind]
    word_tokenizer(post_processor).save(str(tmp_path / "tokenizer.json"))
    expected = [*prefix, 3, 4, *middle, 5, *suffix]

    tokenizer = PairTokenizer.from_dir(tmp_path)

    pair = tokenizer.pair(tokenizer.encode_query("a b"), tokenizer.encode_documents(["c"])[0], max_length=99)
    assert expected == pair.ids
    assert middle[0] == tokenizer.template.separator_id
    assert len(expected) - 3 == tokenizer.template.special_tokens


@pytest.mark.parametrize(
    "post_processor",
    [None, processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])],
    ids=["none", "without separator"],
)
def test_a_tokenizer_without_pair_template_is_refused(post_processor: Any) -> None:
    """Query and document would run into each other."""
    with pytest.raises(CheckpointError, match="no pair template"):
        PairTokenizer(word_tokenizer(post_processor))


def test_stored_truncation_and_padding_are_disabled(tmp_path: Path) -> None:
    """Published tokenizer.json files often carry both."""
    tokenizer = word_tokenizer()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    assert [[3] * 20, [4]] == PairTokenizer.from_dir(tmp_path).encode_documents(["a " * 20, "b"])


def test_special_ids_of_the_config_are_not_asked(tiny_checkpoint: Path, reranker: Reranker) -> None:
    """The published config's pad_token_id 0 is `<s>`; the template is `<s> query </s></s> document </s>`."""
    config = json.loads((tiny_checkpoint / "config.json").read_text())

    template = reranker.tokenizer.template

    assert 0 == config["pad_token_id"]
    assert ((0,), (2, 2), (2,)) == (template.prefix, template.middle, template.suffix)


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": {"type": "Unheard"}}'])
def test_a_missing_or_broken_tokenizer_is_named(tmp_path: Path, content: str | None) -> None:
    """With its path."""
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)

    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        PairTokenizer.from_dir(tmp_path)


def test_the_document_is_cut_and_the_query_kept() -> None:
    """The end of the document goes; special tokens stay in place."""
    pair = PairTokenizer(word_tokenizer()).pair([3, 4], [5] * 10, max_length=9)

    assert [1, 3, 4, 2, 2, 5, 5, 5, 2] == pair.ids
    assert (3, True) == (pair.document_tokens, pair.truncated)


def test_a_document_that_just_fits_is_not_cut() -> None:
    """Nor counted as cut."""
    pair = PairTokenizer(word_tokenizer()).pair([3, 4], [5] * 3, max_length=9)

    assert (3, False) == (pair.document_tokens, pair.truncated)


def test_a_cap_on_documents_cuts_further() -> None:
    """Whatever the window leaves."""
    pair = PairTokenizer(word_tokenizer()).pair([3], [5, 5, 5], max_length=100, max_document=2)

    assert (2, True) == (pair.document_tokens, pair.truncated)


@pytest.mark.parametrize(("max_length", "max_query", "share"), [(8192, 2048, 2048), (512, 2048, 381), (6, 2048, 1)])
def test_a_query_has_three_quarters_of_the_window_at_most(max_length: int, max_query: int, share: int) -> None:
    """Of what the four special tokens leave."""
    tokenizer = PairTokenizer(word_tokenizer())

    assert share == tokenizer.query_share(max_length=max_length, max_query=max_query)


@given(
    st.lists(st.text(st.sampled_from("ab ,.\n\tÄé漢\u0301\x1c"), max_size=400), max_size=4),
    st.integers(0, 12),
)
@example(["a" * 4000], 1)
@example([" " * 4000 + "a b", "b" * 700 + " a"], 2)
@settings(max_examples=150, deadline=None)
def test_cutting_before_tokenising_changes_no_token_that_survives(
    reranker: Reranker, texts: list[str], limit: int
) -> None:
    """The first `limit` tokens are those of the whole text, and that there are more of them is never forgotten."""
    whole = reranker.tokenizer.encode_documents(texts)

    cut = reranker.tokenizer.encode_documents(texts, limit)

    assert [ids[:limit] for ids in whole] == [ids[:limit] for ids in cut]
    assert [len(ids) > limit for ids in whole] == [len(ids) > limit for ids in cut]


def test_a_huge_document_is_not_tokenised_to_its_end(reranker: Reranker) -> None:
    """Only some characters per token of the window are."""
    [ids] = reranker.tokenizer.encode_documents(["rerank these passages " * 100_000], 50)

    assert 50 < len(ids) < 1000


def test_tokenizers_that_do_not_split_at_spaces_read_documents_whole() -> None:
    """A cut could change their tokens anywhere."""
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, " ": 4, "a ": 5, "b": 6}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", " ")]))
    tokenizer.post_processor = processors.BertProcessing(SEP, CLS)
    tokenizer.normalizer = normalizers.Lowercase()
    expected = [5] * 5000

    assert [expected] == PairTokenizer(tokenizer).encode_documents(["A " * 5000], 3)


@pytest.mark.parametrize(
    ("text", "as_if"),
    [
        ("a \ud800 b", "a � b"),
        ("\udfff", "�"),
        ("a \ud83d\ude00 b", "a \U0001f600 b"),
        ("c \ude00\ud83d", "c ��"),
    ],
)
def test_lone_surrogates_are_replacement_characters(text: str, as_if: str) -> None:
    """JSON can spell them, UTF-8 cannot; a pair of them is the character it stands for."""
    tokenizer = PairTokenizer(word_tokenizer())

    assert tokenizer.encode_query(as_if) == tokenizer.encode_query(text)


def test_nul_is_a_character_like_any_other(reranker: Reranker) -> None:
    """Documents are not cut at it."""
    [before, whole] = reranker.tokenizer.encode_documents(["model", "model\0endpoint"])

    assert len(whole) > len(before)
