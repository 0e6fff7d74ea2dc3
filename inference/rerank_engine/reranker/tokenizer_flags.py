"""Where tokenizer.json and tokenizer_config.json disagree: this engine reads the first, transformers the second, too.

transformers 5 takes vocabulary and merges from tokenizer.json and builds the rest anew, from the flags of
tokenizer_config.json and, where that is silent, from the defaults of its tokenizer class (`do_lower_case` is on in
BertTokenizer). A model then reads other token ids there than here, and scores otherwise, in silence. Each flag that
disagrees is laid over tokenizer.json by itself, and texts are encoded both ways: `example` is the first whose ids
differ. The kind of tokenizer is not compared: transformers builds that of the published rerankers as another kind,
whose tokens are not those that the models were trained on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

TOKENIZER_CONFIG = "tokenizer_config.json"
# Case, accents, scripts without spaces, blanks at the start and in the middle, punctuation.
PROBE = (
    "Apple pays US taxes",
    "Pâris, Ångström, naïve CAFÉ",
    "中国 apple苹果x",
    " a leading space",
    "two  spaces\nand a line",
    "it's 3.5-fold, e.g. C++ (don't!)",
    "İstanbul Straße ﬁne Ⅳ",
)
_BERT = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "unk_token": "[UNK]"}
_ENDS = {"bos_token": "<s>", "eos_token": "</s>"}
_WORDS = ("Bert", "DistilBert", "Electra", "MobileBert", "MPNet")
# Class of transformers, without "Tokenizer" -> what it takes where tokenizer_config.json is silent.
_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    **{name: {**_BERT, "cls_token": "[CLS]", "sep_token": "[SEP]"} for name in _WORDS},
    "MPNet": {**_BERT, "cls_token": "<s>", "sep_token": "</s>"},
    "Roberta": {"add_prefix_space": False, "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"},
    **{name: {"add_prefix_space": True, **_ENDS} for name in ("XLMRoberta", "Camembert")},
    "DebertaV2": {
        "do_lower_case": False,
        "split_by_punct": False,
        "add_prefix_space": True,
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    },
}
_MODELS = {**dict.fromkeys(_WORDS, "WordPiece"), "Roberta": "BPE"}  # the others': Unigram
_CLASSES = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert"}
_CLASSES |= {"deberta-v2": "DebertaV2", "distilbert": "DistilBert", "electra": "Electra", "mpnet": "MPNet"}
_MARKS = ("lstrip", "rstrip", "single_word", "normalized")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A flag of which the two files say different things.

    Attributes:
        flag: its name in tokenizer_config.json.
        stored: what tokenizer.json has.
        configured: what transformers takes instead.
        owner: the class whose default that is; empty where tokenizer_config.json says it.
        example: a text whose token ids differ; None where no ids of the probe do.
    """

    flag: str
    stored: object
    configured: object
    owner: str = ""
    example: str | None = None

    def __str__(self) -> str:
        """Both values, and what comes of it."""
        default = f", which is {self.owner}'s default," if self.owner else ""
        effect = "no token ids of the texts tried" if self.example is None else f"the token ids of {self.example!r}"
        return (
            f"tokenizer.json has {self.flag} {json.dumps(self.stored, ensure_ascii=False)}, {TOKENIZER_CONFIG} "
            f"{json.dumps(self.configured, ensure_ascii=False)}{default} and that changes {effect}"
        )


@dataclass(frozen=True, slots=True)
class _Flag:
    """One flag; `lay` gives a tokenizer the configured value, where that can change ids."""

    name: str
    stored: object
    lay: Callable[[Tokenizer, Any], None] | None = None


def disagreements(tokenizer: Tokenizer, model_dir: Path) -> list[Disagreement]:
    """Every flag that `model_dir`/tokenizer_config.json, or its silence, sets otherwise than `tokenizer` has it.

    A default that changes nothing is left out. `tokenizer` is as tokenizer.json has it; it is not changed.
    """
    config = _read(model_dir / TOKENIZER_CONFIG)
    given = str(config.get("tokenizer_class") or "").removesuffix("Fast").removesuffix("Tokenizer")
    kind = given or _CLASSES.get(str(_read(model_dir / "config.json").get("model_type")), "")
    alike = type(tokenizer.model).__name__ == _MODELS.get(kind, "Unigram")
    if kind == "Roberta":
        alike = alike and _find(_state(tokenizer.pre_tokenizer), "ByteLevel") is not None
    defaults = _DEFAULTS.get(kind, {}) if alike else {}
    found = []
    for flag in _flags(tokenizer, kind):
        said = config.get(flag.name) is not None
        if not said and flag.name not in defaults:
            continue
        value = _content(config[flag.name]) if said else defaults[flag.name]
        strange = flag.name.endswith("_token") and tokenizer.token_to_id(str(value)) is None
        if value == flag.stored or (strange and not said):  # a default that the vocabulary lacks: of another kind
            continue
        lay = flag.lay if flag.name in defaults else None
        example = None if lay is None else _first_difference(tokenizer, lay, value)
        if said or example is not None:
            owner = "" if said else f"{kind}Tokenizer"
            found.append(Disagreement(flag.name, flag.stored, value, owner, example))
    return found + list(_added(tokenizer, config))


def _flags(tokenizer: Tokenizer, kind: str) -> Iterator[_Flag]:
    normalizer, splitter = _state(tokenizer.normalizer), _state(tokenizer.pre_tokenizer)
    if (bert := _find(normalizer, "BertNormalizer")) is not None:
        for name, key in (
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        ):
            yield _Flag(name, bert[key], _laying("normalizer", "BertNormalizer", key))
    else:
        yield _Flag("do_lower_case", _find(normalizer, "Lowercase") is not None, _lay_lowercase)
    if (level := _find(splitter, "ByteLevel")) is not None:
        yield _Flag("add_prefix_space", level["add_prefix_space"], _laying("pre_tokenizer", "ByteLevel"))
        yield _Flag("trim_offsets", level["trim_offsets"])
    elif (spaces := _find(splitter, "Metaspace")) is not None:
        schemes = {True: "always", False: "first" if kind == "DebertaV2" else "never"}
        lay = _laying("pre_tokenizer", "Metaspace", "prepend_scheme", schemes)
        yield _Flag("add_prefix_space", spaces["prepend_scheme"] == "always", lay)
    if kind == "DebertaV2":
        yield _Flag("split_by_punct", _find(splitter, "Punctuation") is not None, _lay_punctuation)
    if (unknown := getattr(tokenizer.model, "unk_token", None)) is not None:
        yield _Flag("unk_token", unknown, _lay_unknown)
    pair = tokenizer.encode("a", "b")
    special = [token for token, mark in zip(pair.tokens, pair.special_tokens_mask, strict=True) if mark]
    names = ("bos_token", "eos_token") if kind in ("XLMRoberta", "Camembert") else ("cls_token", "sep_token")
    for name, token in zip(names, (special[:1], special[-1:]), strict=True):
        if token:
            yield _Flag(name, token[0], _lay_ends)
    cut, filled = tokenizer.truncation, tokenizer.padding
    if cut is not None:
        yield _Flag("model_max_length", cut["max_length"])
    yield _Flag("truncation_side", "right" if cut is None else str(cut["direction"]).lower())
    if filled is not None:
        yield _Flag("padding_side", str(filled["direction"]).lower())
        yield _Flag("pad_token", filled["pad_token"])


def _added(tokenizer: Tokenizer, config: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Special and added tokens that tokenizer.json does not have, or has with other marks."""
    for name in ("pad_token", "mask_token"):
        token = _content(config.get(name))
        if token is not None and tokenizer.token_to_id(str(token)) is None:
            yield Disagreement(name, None, token)
    stored = {str(number): token for number, token in tokenizer.get_added_tokens_decoder().items()}
    listed = config.get("added_tokens_decoder")
    for number, said in (listed if isinstance(listed, Mapping) else {}).items():
        if not isinstance(said, Mapping) or "content" not in said:
            continue
        own = stored.get(str(number))
        has: dict[str, Any] = {"content": tokenizer.id_to_token(int(number)) if own is None else own.content}
        has |= {mark: own is not None and getattr(own, mark) for mark in _MARKS}
        says = {"content": said["content"], **{mark: bool(said.get(mark, has[mark])) for mark in _MARKS}}
        if has != says:
            token = AddedToken(**says, special=bool(said.get("special", False)))
            example = _first_difference(tokenizer, _lay_added, token)
            yield Disagreement(f"added_tokens_decoder.{number}", has, says, example=example)


def _laying(
    part: str, kind: str, key: str = "add_prefix_space", names: Mapping[Any, str] | None = None
) -> Callable[[Tokenizer, Any], None]:
    def lay(tokenizer: Tokenizer, value: Any) -> None:
        state = _state(getattr(tokenizer, part))
        found = _find(state, kind)
        assert found is not None
        found[key] = value if names is None else names[bool(value)]
        setattr(tokenizer, part, _component(part, state))

    return lay


def _lay_added(tokenizer: Tokenizer, value: Any) -> None:
    tokenizer.add_tokens([value])


def _lay_lowercase(tokenizer: Tokenizer, value: Any) -> None:
    state = _state(tokenizer.normalizer)
    steps = [] if state is None else state["normalizers"] if state["type"] == "Sequence" else [state]
    kept = [step for step in steps if step["type"] != "Lowercase"]
    lowered = [{"type": "Lowercase"}] if value else []
    tokenizer.normalizer = _component("normalizer", {"type": "Sequence", "normalizers": [*lowered, *kept]})


def _lay_punctuation(tokenizer: Tokenizer, value: Any) -> None:
    state = _state(tokenizer.pre_tokenizer)
    steps = [] if state is None else state["pretokenizers"] if state["type"] == "Sequence" else [state]
    kept = [step for step in steps if step["type"] != "Punctuation"]
    first = [{"type": "Punctuation", "behavior": "Isolated"}] if value else []
    tokenizer.pre_tokenizer = _component("pre_tokenizer", {"type": "Sequence", "pretokenizers": [*first, *kept]})


def _lay_unknown(tokenizer: Tokenizer, value: Any) -> None:
    if tokenizer.token_to_id(str(value)) is None:
        raise LookupError(value)
    tokenizer.model.unk_token = str(value)


def _lay_ends(tokenizer: Tokenizer, value: Any) -> None:
    raise LookupError(value)  # stands in every pair: another token is another id


def _first_difference(tokenizer: Tokenizer, lay: Callable[[Tokenizer, Any], None], value: Any) -> str | None:
    """The first text of the probe that `tokenizer` encodes otherwise with `value` laid over a copy of it."""
    changed = Tokenizer.from_str(tokenizer.to_str())
    try:
        lay(changed, value)
    except LookupError:
        return PROBE[0]
    return next((text for text in PROBE if tokenizer.encode(text, "b").ids != changed.encode(text, "b").ids), None)


def _state(component: Any) -> Any:
    return None if component is None else json.loads(component.__getstate__())


def _component(part: str, state: Any) -> Any:
    """The normalizer or pre-tokenizer of this description."""
    shell = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    model = {"type": "BPE", "vocab": {}, "merges": []}
    described = {"version": "1.0", "added_tokens": [], **shell, "model": model, part: state}
    return getattr(Tokenizer.from_str(json.dumps(described)), part)


def _find(state: Any, kind: str) -> dict[str, Any] | None:
    """The first part of this type, at any depth."""
    if isinstance(state, dict) and state.get("type") == kind:
        return state
    inner = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return next((found for one in inner if (found := _find(one, kind)) is not None), None)


def _content(value: Any) -> Any:
    """A token's text, where it is written with its marks."""
    return value["content"] if isinstance(value, Mapping) and "content" in value else value


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # missing is silent; damaged is for those who need the file to say
    return value if isinstance(value, dict) else {}
