"""The tokenizers of the families: sentencepiece's Unigram with Metaspace, BERT's WordPiece, RoBERTa's bytes."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from rerank_engine.reranker.tokens import PairTokenizer

TEXT = (
    "What is a production variant? A variant is a model behind an endpoint, with instances of its own.",
    "Réranking orders passages by relevance: naïve scores, 42 of them, won't do.",
    "Straße, Ærø, Τι είναι; что это такое? 産地はどこですか。",
    "Batch transform reads prefixes of S3 (sagemaker-eu-central-1) and writes .out files.",
)
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "[CLS]", "[SEP]", "[UNK]"]
XLM_R = processors.TemplateProcessing(
    single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
)
CLS_SEP = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 4), ("[SEP]", 5)]
)
SINGLE_SPACES = normalizers.Replace(Regex(" {2,}"), " ")


def unigram(normalizer: normalizers.Normalizer, pre_tokenizer: pre_tokenizers.PreTokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=220, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def xlm_roberta() -> Tokenizer:
    """As bge-reranker-base has it; NFKC stands for sentencepiece's table of characters."""
    split = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer = unigram(normalizers.Sequence([normalizers.NFKC(), SINGLE_SPACES]), split)
    tokenizer.post_processor = XLM_R
    return tokenizer


def deberta() -> Tokenizer:
    """As mxbai-rerank-base-v1 has it: the table makes spaces of line breaks, and both ends are stripped."""
    spaces = normalizers.Replace(Regex(r"[\n\t]"), " ")
    normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKC(), spaces, SINGLE_SPACES])
    tokenizer = unigram(normalizer, pre_tokenizers.Metaspace())
    tokenizer.post_processor = CLS_SEP
    return tokenizer


def line_breaks_within_words() -> Tokenizer:
    """Metaspace alone splits at spaces only."""
    tokenizer = unigram(normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()]), pre_tokenizers.Metaspace())
    tokenizer.post_processor = CLS_SEP
    return tokenizer


def word_piece() -> Tokenizer:
    """As ms-marco-MiniLM has it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        TEXT, trainers.WordPieceTrainer(vocab_size=220, special_tokens=SPECIALS, show_progress=False)
    )
    tokenizer.post_processor = CLS_SEP
    return tokenizer


def byte_level() -> Tokenizer:
    """As RoBERTa itself has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(vocab_size=330, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.post_processor = XLM_R
    return tokenizer


KINDS = {make.__name__: make for make in (xlm_roberta, deberta, line_breaks_within_words, word_piece, byte_level)}
every_kind = pytest.mark.parametrize("kind", KINDS)
Make = Callable[[str], tuple[Tokenizer, PairTokenizer]]

pieces = st.sampled_from([*" \n\t.,-aé漢\u0301\x1c", "  ", "variant ", "endpoint", " Réranking", "産地", "</s", "\n\n"])
texts = st.lists(pieces, max_size=80).map("".join)


@pytest.fixture(scope="module")
def tokenizers() -> Make:
    """A tokenizer by kind, as the library has it and as ours."""
    made: dict[str, tuple[Tokenizer, PairTokenizer]] = {}

    def make(kind: str) -> tuple[Tokenizer, PairTokenizer]:
        if kind not in made:
            plain = KINDS[kind]()
            made[kind] = plain, PairTokenizer(Tokenizer.from_str(plain.to_str()))
        return made[kind]

    return make


@every_kind
@given(query=texts, document=texts)
@example(query=TEXT[0], document=TEXT[2])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_encoding_apart_is_encoding_the_pair(tokenizers: Make, kind: str, query: str, document: str) -> None:
    """Joined by the template, the ids are those of the library for the pair as a whole."""
    plain, ours = tokenizers(kind)
    expected = plain.encode(query, document).ids

    [document_ids] = ours.encode_documents([document])
    pair = ours.pair(ours.encode_query(query), document_ids, max_length=10_000)

    assert expected == pair.ids


@every_kind
@given(document=texts.map(lambda text: text * 5), limit=st.integers(0, 12))
@example(document="variant\nendpoint " * 40, limit=3)
@example(document="variant endpoint\n" * 40, limit=3)
@example(document="variant\nendpoint\n" * 60, limit=7)
@example(document="産地はどこですか。" * 200, limit=2)
@example(document="a" * 700 + " variant", limit=0)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cutting_before_tokenising_changes_no_token_that_survives(
    tokenizers: Make, kind: str, document: str, limit: int
) -> None:
    """The first `limit` tokens are those of the whole text, and that there are more of them is never forgotten."""
    _, ours = tokenizers(kind)
    [whole] = ours.encode_documents([document])

    [cut] = ours.encode_documents([document], limit)

    assert whole[:limit] == cut[:limit]
    assert (len(whole) > limit) == (len(cut) > limit)


@every_kind
def test_long_documents_are_not_tokenised_to_their_end(tokenizers: Make, kind: str) -> None:
    """Every family's tokenizer lets text be cut at the end of a word."""
    _, ours = tokenizers(kind)

    [ids] = ours.encode_documents(["variants behind an endpoint " * 20_000], 50)

    assert 50 < len(ids) < 2000


@pytest.mark.parametrize(
    ("kind", "prefix", "middle", "suffix"),
    [
        ("xlm_roberta", (0,), (2, 2), (2,)),
        ("byte_level", (0,), (2, 2), (2,)),
        ("deberta", (4,), (5,), (5,)),
        ("word_piece", (4,), (5,), (5,)),
    ],
)
def test_templates_are_the_families(
    tokenizers: Make, kind: str, prefix: tuple[int, ...], middle: tuple[int, ...], suffix: tuple[int, ...]
) -> None:
    """`<s> query </s></s> document </s>` for RoBERTa, `[CLS] query [SEP] document [SEP]` for BERT and DeBERTa."""
    template = tokenizers(kind)[1].template

    assert (prefix, middle, suffix) == (template.prefix, template.middle, template.suffix)
    assert middle[0] == template.separator_id
