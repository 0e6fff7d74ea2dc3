"""Pairs as the model reads them: texts tokenised once, put together by the template, grouped by length."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerank_training.errors import DataError
from rerank_training.vocabulary import read_tokenizer

STARTS = ("<s>", "[CLS]")
ENDS = ("</s>", "[SEP]")


@dataclass(frozen=True, slots=True)
class Template:
    """The special tokens around a pair, as ids: `before` query `between` document `after`."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> "Template":
        """Read from how the tokenizer puts a pair together.

        The ids come from the tokenizer alone: `pad_token_id` of the published configs is 0, the id of `<s>`.

        Raises:
            DataError: its post-processor adds no special tokens.
        """
        encoding = tokenizer.encode("a", "b")
        marks, kinds = encoding.special_tokens_mask, encoding.ids
        texts = [n for n, mark in enumerate(marks) if not mark]
        if len(texts) < 2 or not marks[0]:
            raise DataError("The tokenizer puts no special tokens around a pair: its post-processor is missing.")
        edge = next(n for n in range(texts[0], len(marks)) if marks[n])
        return cls(
            tuple(kinds[: texts[0]]),
            tuple(k for k, m in zip(kinds[edge : texts[-1]], marks[edge : texts[-1]], strict=True) if m),
            tuple(kinds[texts[-1] + 1 :]),
        )


class PairTexts:
    """Tokenised queries and passages.

    Args:
        tokenizer_file: tokenizer.json.
        queries, passages: the texts.
        query_tokens, passage_tokens: where they are cut.
    """

    def __init__(
        self,
        tokenizer_file: Path,
        queries: Sequence[str],
        passages: Sequence[str],
        *,
        query_tokens: int = 48,
        passage_tokens: int = 256,
    ) -> None:
        tokenizer = read_tokenizer(tokenizer_file)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.template = Template.of(tokenizer)
        self.vocabulary = tokenizer.get_vocab_size()
        self._queries = _ids(tokenizer, queries, query_tokens)
        self._passages = _ids(tokenizer, passages, passage_tokens)

    def pair(self, query: int, passage: int, *, multiple: int = 1) -> list[int]:
        """Token ids of one pair, the passage shortened until the length is a multiple of `multiple` (if that leaves
        half).
        """
        q, p, t = self._queries[query], self._passages[passage], self.template
        around = len(t.before) + len(q) + len(t.between) + len(t.after)
        over = (around + len(p)) % multiple
        kept = p[: len(p) - over] if over * 2 <= len(p) else p
        return [*t.before, *q, *t.between, *kept, *t.after]


def _ids(tokenizer: Any, texts: Sequence[str], most: int) -> list[NDArray[np.uint16]]:
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.array(encoding.ids[:most], dtype=np.int32) for encoding in encodings]


def groups(lengths: Sequence[int], *, tokens: int) -> list[list[int]]:
    """Positions sorted by length in groups of at most `tokens` tokens each (or of one position)."""
    order = sorted(range(len(lengths)), key=lambda n: lengths[n])
    found: list[list[int]] = []
    held = 0
    for n in order:
        if not found or held + lengths[n] > tokens:
            found.append([])
            held = 0
        found[-1].append(n)
        held += lengths[n]
    return found
