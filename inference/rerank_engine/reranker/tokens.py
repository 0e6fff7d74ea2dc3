"""Text to token ids: queries and documents encoded apart, then joined as the tokenizer's own pair template says.

tokenizer.json is read by the `tokenizers` library and by nothing else: transformers 5 rebuilds the published rerankers'
tokenizer as another kind and yields other tokens. Special ids come from the template, never from config.json, whose
pad_token_id 0 is the id of `<s>`.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tokenizers import Encoding, Tokenizer

from rerank_engine.errors import CheckpointError
from rerank_engine.reranker.tokenizer_flags import Disagreement, disagreements
from rerank_engine.types import TokenPair

CHARS_PER_TOKEN = 8  # first guess of what a window of tokens takes; English prose has 4 to 5
GROWTH = 8
_log = logging.getLogger("rerank")
_SPACE, _STRANGE = "\u2581", "\U00013000\U00012000"  # sentencepiece's space; a hieroglyph, a cuneiform sign
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The special tokens around a pair: prefix query middle document suffix."""

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]

    @property
    def special_tokens(self) -> int:
        """Tokens of a pair that are neither query nor document."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)

    @property
    def separator_id(self) -> int:
        """The first special token after the query."""
        return self.middle[0]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """The template of tokenizer.json's post-processor, of whatever kind it is: read off an encoded pair.

        Raises:
            CheckpointError: the tokenizer puts no special token between query and document.
        """
        pair: Encoding = tokenizer.encode("a", "b")
        sequence, ids = pair.sequence_ids, pair.ids
        query = [i for i, which in enumerate(sequence) if which == 0]
        document = [i for i, which in enumerate(sequence) if which == 1]
        if not query or not document or document[0] - query[-1] < 2:
            raise CheckpointError(
                "tokenizer.json has no pair template: no special token stands between query and document.",
                tip="A reranker's tokenizer.json has a post-processor: Roberta-, Bert- or TemplateProcessing.",
            )
        return cls(
            prefix=tuple(ids[: query[0]]),
            middle=tuple(ids[query[-1] + 1 : document[0]]),
            suffix=tuple(ids[document[-1] + 1 :]),
        )


class PairTokenizer:
    """A tokenizer.json and its pair template.

    Attributes:
        template: the special tokens around a pair.
        vocab_size: entries of the vocabulary, added tokens included.
        disagreements: flags that tokenizer_config.json has otherwise.
    """

    def __init__(self, tokenizer: Tokenizer, disagreements: Sequence[Disagreement] = ()) -> None:
        self.disagreements = tuple(disagreements)
        tokenizer.no_truncation()  # tokenizer.json may carry both; lengths are this class's business
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        # encode_batch_fast leaves out the offsets of each token, which nobody reads here.
        self._encode_batch = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
        self._word_end = _word_end(tokenizer)
        self.template = PairTemplate.of(tokenizer)
        self.vocab_size: int = tokenizer.get_vocab_size(with_added_tokens=True)
        self._unknown_id = _unknown_id(tokenizer)
        self._space_id: int | None = tokenizer.token_to_id(_SPACE)

    @classmethod
    def from_dir(cls, model_dir: Path) -> Self:
        """The tokenizer in `model_dir`/tokenizer.json; a warning where transformers would read other ids than it.

        Raises:
            CheckpointError: it is missing, unreadable, or has no pair template.
        """
        path = model_dir / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{path} is missing.", tip="Vocabulary files without a tokenizer.json are not read.")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path} cannot be read: {error}.") from error
        found = disagreements(tokenizer, model_dir)
        for one in found:
            if one.example is not None:
                _log.warning("%s; this engine reads tokenizer.json", one)
        return cls(tokenizer, found)

    def encode_query(self, text: str, limit: int | None = None) -> list[int]:
        """Token ids of a query, without special tokens; `limit` as in `encode_documents`."""
        return self.encode_documents([text], limit)[0]

    def encode_documents(self, texts: Sequence[str], limit: int | None = None) -> list[list[int]]:
        """Token ids of documents, without special tokens.

        With a `limit`, a document far longer than that many tokens is encoded only up to the end of some word, far
        enough that more than `limit` tokens come out; a piece that yields fewer is never accepted. The first `limit`
        are then those of the whole document, since tokenizers split at spaces before they do anything else (where one
        does not, documents are encoded whole). Only where no space comes for 64 characters a token, a word is cut,
        which could change the tokens next to the cut: far behind the limit. Such documents count as truncated anyway.
        """
        return [encoding.ids for encoding in self._encodings(texts, limit, self._encode_batch)]

    def offsets(self, text: str, limit: int) -> list[tuple[int, int]]:
        """The characters of `text` that each of its first tokens covers, as (start, stop): of `limit` or a few more.

        They are the tokens of `encode_documents` with the same limit; a lone surrogate counts as one character.
        """
        return list(self._encodings([text], limit, self._tokenizer.encode_batch)[0].offsets[:limit])

    def pair(
        self, query_ids: Sequence[int], document_ids: Sequence[int], *, max_length: int, max_document: int | None = None
    ) -> TokenPair:
        """Join a query and a document, cutting the document's end so that the pair has at most `max_length` tokens.

        `max_document` caps the document further. The query is taken as it is: see `query_share`.
        """
        room = self.document_room(len(query_ids), max_length=max_length, max_document=max_document)
        kept = document_ids[:room]
        template = self.template
        return TokenPair(
            ids=[*template.prefix, *query_ids, *template.middle, *kept, *template.suffix],
            document_tokens=len(kept),
            truncated=len(document_ids) > room,
        )

    def mostly_unknown(self, ids: Sequence[int]) -> bool:
        """Whether more than half of a text's tokens stand for something that is not in the vocabulary.

        Sentencepiece's lone space, which it puts before such a text, does not count.
        """
        if self._unknown_id is None:
            return False
        unknown = ids.count(self._unknown_id)
        return 2 * unknown > len(ids) - (ids.count(self._space_id) if unknown and self._space_id is not None else 0)

    def query_share(self, *, max_length: int, max_query: int) -> int:
        """Tokens a query may have: `max_query`, and at most 3/4 of what the special tokens leave of the window."""
        return min(max_query, 3 * (max_length - self.template.special_tokens) // 4)

    def document_room(self, query_tokens: int, *, max_length: int, max_document: int | None = None) -> int:
        """Tokens a document may have beside a query of `query_tokens`."""
        room = max(0, max_length - self.template.special_tokens - query_tokens)
        return room if max_document is None else min(room, max_document)

    def _encodings(self, texts: Sequence[str], limit: int | None, encode: Callable[..., Any]) -> list[Encoding]:
        pieces = [_well_formed(text) for text in texts]
        if limit is None or self._word_end is None:
            return list(encode(pieces, add_special_tokens=False))
        encoded: dict[int, Encoding] = {}
        pending, chars = list(range(len(pieces))), CHARS_PER_TOKEN * (limit + 1)
        while pending:
            cut = {index: _first_words(pieces[index], chars, self._word_end) for index in pending}
            encoded.update(zip(pending, encode(list(cut.values()), add_special_tokens=False), strict=True))
            pending = [i for i in pending if len(encoded[i].ids) <= limit and len(cut[i]) < len(pieces[i])]
            chars *= GROWTH
        return [encoded[index] for index in range(len(pieces))]


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    """The id of what is not in the vocabulary; None where there is always a token, of bytes if need be.

    A Unigram does not tell: one is asked for signs that no vocabulary of a reranker has, and answers with an id whose
    token is none of them.
    """
    name = getattr(tokenizer.model, "unk_token", None)
    if name is not None:
        return tokenizer.token_to_id(name)
    if type(tokenizer.model).__name__ != "Unigram":
        return None
    ids = tokenizer.encode(_STRANGE, add_special_tokens=False).ids
    tokens = {number: tokenizer.id_to_token(number) or "" for number in ids}
    others = [number for number, token in tokens.items() if not set(token) & set(_STRANGE + _SPACE)]
    return next((number for number in others if not tokens[number].startswith("<0x")), None)


def _word_end(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """Matches the last character of a word: text is split behind it before the vocabulary is looked at.

    Not all tokenizers split at line breaks (sentencepiece's Metaspace leaves them within a word); None where one does
    not even split at spaces.
    """
    if tokenizer.pre_tokenizer is None:
        return None
    splitting = ""
    for space in (" ", "\n"):
        text = f"a{space}b"
        normal = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
        if len(tokenizer.pre_tokenizer.pre_tokenize_str(normal)) > 1:
            splitting += space
    return re.compile(rf"\S(?=[{splitting}])") if splitting else None


def _first_words(text: str, chars: int, word_end: re.Pattern[str]) -> str:
    """`text` up to the first end of a word after `chars` characters; within a word if none ends before 8 times that."""
    if len(text) <= chars:
        return text
    end = word_end.search(text, chars - 1, GROWTH * chars)
    return text[: end.end() if end else GROWTH * chars]


def _well_formed(text: str) -> str:
    """`text` with surrogate pairs joined and lone surrogates, which are no characters and have no UTF-8, as U+FFFD."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
