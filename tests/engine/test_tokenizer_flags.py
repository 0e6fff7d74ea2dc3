"""Flags on which tokenizer.json and tokenizer_config.json disagree, held to what transformers makes of them."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from rerank_engine.reranker.tokenizer_flags import PROBE, Disagreement, disagreements
from rerank_engine.reranker.tokens import PairTokenizer

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]", "<mask>"]
TEXT = [*PROBE, *map(str.lower, PROBE), "paris angstrom naive cafe strasse", "a b x y z"]
SILENT: Any = object()
CLS_SEP = [("[CLS]", 4), ("[SEP]", 5)]
ENDS = [("<s>", 0), ("</s>", 2)]


def bert(*, lowercase: bool, strip_accents: bool | None = None, chinese: bool = True) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=chinese
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    plain = normalizers.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False)
    words = [word for text in TEXT for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(plain.normalize_str(text))]
    signs = sorted(set("".join(words)) - set("Å国"))
    vocabulary = [*SPECIALS, *signs, *(f"##{sign}" for sign in signs), *words]
    tokenizer.model = models.WordPiece({w: i for i, w in enumerate(dict.fromkeys(vocabulary))}, unk_token="[UNK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=CLS_SEP
    )
    return tokenizer


def roberta(*, add_prefix_space: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=add_prefix_space)
    return tokenizer


def unigram(normalizer: normalizers.Normalizer | None, steps: list[pre_tokenizers.PreTokenizer]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.UnigramTrainer(vocab_size=220, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def xlm_roberta(*, scheme: Any) -> Tokenizer:
    steps = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme=scheme)]
    tokenizer = unigram(None, steps)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ENDS
    )
    return tokenizer


def deberta(*, lowercase: bool = False, split: bool = False, scheme: Any = "always") -> Tokenizer:
    one_space = normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " ")
    spaces = [one_space, normalizers.NFC(), normalizers.Strip(left=False, right=True)]
    first = [pre_tokenizers.Punctuation("isolated")] if split else []
    tokenizer = unigram(
        normalizers.Sequence([*([normalizers.Lowercase()] if lowercase else []), *spaces]),
        [*first, pre_tokenizers.Metaspace(prepend_scheme=scheme)],
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=CLS_SEP
    )
    return tokenizer


def config(kind: str, **flags: Any) -> dict[str, Any]:
    said = {name: value for name, value in flags.items() if value is not SILENT}
    tokens = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    if kind in ("Roberta", "XLMRoberta"):
        tokens = {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
        tokens |= {"bos_token": "<s>", "eos_token": "</s>"}
    return {"tokenizer_class": f"{kind}Tokenizer", **tokens, **said}


CASES: dict[str, tuple[Callable[[], Tokenizer], dict[str, Any], set[str]]] = {
    **{
        f"bert {stored}, said {said}": (
            lambda stored=stored: bert(lowercase=stored),  # type: ignore[misc]
            config("Bert", do_lower_case=SILENT if said is None else said),
            set() if (True if said is None else said) == stored else {"do_lower_case"},
        )
        for stored in (True, False)
        for said in (True, False, None)
    },
    "bert, accents": (
        lambda: bert(lowercase=True, strip_accents=False),
        config("Bert", do_lower_case=True),
        {"strip_accents"},
    ),
    "bert, accents said": (
        lambda: bert(lowercase=False),
        config("Bert", do_lower_case=False, strip_accents=True),
        {"strip_accents"},
    ),
    "bert, accents as they follow": (
        lambda: bert(lowercase=True, strip_accents=True),
        config("Bert", do_lower_case=True),
        set(),
    ),
    "bert, chinese": (lambda: bert(lowercase=True, chinese=False), config("Bert"), {"tokenize_chinese_chars"}),
    "bert, chinese said": (
        lambda: bert(lowercase=True),
        config("Bert", tokenize_chinese_chars=False),
        {"tokenize_chinese_chars"},
    ),
    "bert, another unknown": (lambda: bert(lowercase=True), config("Bert", unk_token="<unk>"), {"unk_token"}),
    "bert, another cls": (lambda: bert(lowercase=True), config("Bert", cls_token="<s>"), {"cls_token"}),
    "bert, another sep": (lambda: bert(lowercase=True), config("Bert", sep_token="</s>"), {"sep_token"}),
    **{
        f"roberta {stored}, said {said}": (
            lambda stored=stored: roberta(add_prefix_space=stored),  # type: ignore[misc]
            config("Roberta", add_prefix_space=SILENT if said is None else said),
            set() if bool(said) == stored else {"add_prefix_space"},
        )
        for stored in (True, False)
        for said in (True, False, None)
    },
    "roberta, another sep": (
        lambda: roberta(add_prefix_space=False),
        config("Roberta", sep_token="[SEP]"),
        {"sep_token"},
    ),
    **{
        f"xlm-roberta {scheme}, said {said}": (
            lambda scheme=scheme: xlm_roberta(scheme=scheme),  # type: ignore[misc]
            config("XLMRoberta", add_prefix_space=SILENT if said is None else said),
            set() if (True if said is None else said) == (scheme == "always") else {"add_prefix_space"},
        )
        for scheme in ("always", "never")
        for said in (True, False, None)
    },
    **{
        f"deberta {stored}, said {said}": (
            lambda stored=stored: deberta(lowercase=stored),  # type: ignore[misc]
            config("DebertaV2", do_lower_case=SILENT if said is None else said),
            set() if bool(said) == stored else {"do_lower_case"},
        )
        for stored in (True, False)
        for said in (True, False, None)
    },
    "deberta, punctuation": (lambda: deberta(split=True), config("DebertaV2"), {"split_by_punct"}),
    "deberta, punctuation said": (deberta, config("DebertaV2", split_by_punct=True), {"split_by_punct"}),
    "generic": (
        lambda: bert(lowercase=False),
        {**config("Bert", do_lower_case=True), "tokenizer_class": "PreTrainedTokenizerFast"},
        set(),
    ),
}


def write(folder: Path, tokenizer: Tokenizer, config: dict[str, Any] | None, model_type: str = "bert") -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def found(folder: Path) -> list[Disagreement]:
    return disagreements(Tokenizer.from_file(str(folder / "tokenizer.json")), folder)


@pytest.mark.parametrize("case", CASES)
def test_ids_change_exactly_where_transformers_changes_them(case: str, tmp_path: Path) -> None:
    """For every flag, said or left to its default, in both directions: transformers' ids are the judge."""
    transformers = pytest.importorskip("transformers", minversion="5")
    make, said, expected = CASES[case]
    folder = write(tmp_path, make(), said)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))

    changed = any(plain.encode(text, "b").ids != theirs(text, "b")["input_ids"] for text in PROBE)

    assert changed == bool(expected)
    assert expected == {one.flag for one in found(folder) if one.example is not None}


def test_both_values_and_a_text_are_named(tmp_path: Path) -> None:
    """So that either file can be mended."""
    [said] = found(write(tmp_path, bert(lowercase=False), config("Bert")))

    assert (
        "tokenizer.json has do_lower_case false, tokenizer_config.json true, which is BertTokenizer's default, "
        "and that changes the token ids of 'Apple pays US taxes'"
    ) == str(said)


def test_without_a_config_the_models_class_decides(tmp_path: Path) -> None:
    """transformers goes by model_type then; a tokenizer of another kind is not judged by that class."""
    (other := tmp_path / "other").mkdir()

    assert ["do_lower_case"] == [one.flag for one in found(write(tmp_path, bert(lowercase=False), None))]
    assert [] == found(write(other, roberta(add_prefix_space=True), None))


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"model_max_length": 128}, "model_max_length"),
        ({"truncation_side": "left"}, "truncation_side"),
        ({"padding_side": "left"}, "padding_side"),
        ({"pad_token": "[MASK]"}, "pad_token"),
        ({"mask_token": "[NONE]"}, "mask_token"),
        ({"added_tokens_decoder": {"3": {"content": "<unk>", "lstrip": True}}}, "added_tokens_decoder.3"),
        ({"added_tokens_decoder": {"3": {"content": "<other>"}}}, "added_tokens_decoder.3"),
    ],
)
def test_what_changes_no_ids_is_named_all_the_same(tmp_path: Path, changes: dict[str, Any], flag: str) -> None:
    """Lengths, sides and special tokens matter to others who read the files."""
    tokenizer = bert(lowercase=True)
    tokenizer.add_special_tokens([AddedToken("<unk>", normalized=False)])
    tokenizer.enable_truncation(64)
    tokenizer.enable_padding(pad_id=7, pad_token="[PAD]")

    [one] = found(write(tmp_path, tokenizer, config("Bert", model_max_length=64) | changes))

    assert (flag, None) == (one.flag, one.example)


def test_an_added_token_that_changes_ids_is_one_that_counts(tmp_path: Path) -> None:
    """A word of the text made a token of its own."""
    word = {"900": {"content": "taxe", "normalized": True}}

    [one] = found(write(tmp_path, bert(lowercase=True), config("Bert", added_tokens_decoder=word)))

    assert ("added_tokens_decoder.900", PROBE[0]) == (one.flag, one.example)


def test_loading_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a folder that nobody packaged, too; what changes no ids is not worth a line."""
    folder = write(tmp_path, bert(lowercase=False), config("Bert", truncation_side="left"))

    with caplog.at_level(logging.WARNING, "rerank"):
        tokenizer = PairTokenizer.from_dir(folder)

    assert [record.getMessage() for record in caplog.records if "do_lower_case" in record.getMessage()]
    assert 1 == len(caplog.records)
    assert {"do_lower_case", "truncation_side"} == {one.flag for one in tokenizer.disagreements}


def test_the_demo_agrees_with_itself(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """And so it does without its tokenizer_config.json."""
    bare = shutil.copytree(tiny_checkpoint, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer_config.json"))

    assert [] == found(tiny_checkpoint) + found(bare)
