"""A tokenizer of the published structure, trained on the text at hand.

Lowercase → Whitespace → BPE → `<s> query </s></s> document </s>`, with the special ids of jina-reranker-v1-tiny-en.
"""

import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rerank_training.errors import DataError

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # their ids are their positions: 0..4
ZIPF_MASS, ZIPF_SHIFT = 400_000, 100


def train_tokenizer(texts: Iterable[str], *, size: int, common_words: Sequence[str] = ()) -> Any:
    """A tokenizer of at most `size` tokens; equal arguments give equal tokenizers.

    Args:
        texts: what it is trained on.
        size: tokens in all, the five special ones included.
        common_words: words of the language from the most frequent on. They are added to the text as often as Zipf's law
            has them (ZIPF_MASS / (rank + ZIPF_SHIFT)), so that words the text happens not to use stay whole.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a token of text, not of access
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(set(string.ascii_lowercase + string.digits + string.punctuation)),
        limit_alphabet=300,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_with_words(texts, common_words), trainer)
    # By position: the keyword of the second argument is `cls` in some releases and `cls_token` in others.
    separator, classifier, trim_offsets, add_prefix_space = ("</s>", 2), ("<s>", 0), True, False
    tokenizer.post_processor = processors.RobertaProcessing(separator, classifier, trim_offsets, add_prefix_space)
    return tokenizer


def read_tokenizer(path: Path) -> Any:
    """The tokenizer in a tokenizer.json.

    Raises:
        DataError: the file is missing or is no tokenizer: the library itself raises a bare Exception.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        raise DataError(f"{path} does not exist.", tip="Name a tokenizer.json, or a checkpoint's folder that has one.")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise DataError(f"{path} is not a tokenizer: {error}.") from error


def teacher_words(tokenizer: Any) -> list[str]:
    """Whole words of a WordPiece teacher's vocabulary in its order, which is roughly that of their frequency."""
    ranked = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [word for word, _ in ranked if word.isascii() and word.isalpha() and len(word) > 1]


def _with_words(texts: Iterable[str], words: Sequence[str]) -> Iterator[str]:
    yield from texts
    for rank, word in enumerate(words):
        yield " ".join([word] * (ZIPF_MASS // (rank + ZIPF_SHIFT)))
