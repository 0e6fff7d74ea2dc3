"""Content types: what a request body is, which characters it holds, and what its answer is called.

An answer is one compact JSON value per record, so the answer to a single record is JSON and JSON Lines at once:
Accept chooses its label. A JSON Lines body is always answered line by line, and `Accept: application/json` does not
refuse that: AWS's toolkit fills in this very value when the caller sent none, and batch transform needs a line a line.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from rerank_engine.errors import MalformedBody, NotAcceptable, UnsupportedMediaType

JSON = "application/json"
JSON_LINES = ("application/jsonlines", "application/x-ndjson", "application/jsonl")
CSV = "text/csv"  # rows of Jina's batch jobs; answered as JSON Lines
ANSWERABLE = (JSON, *JSON_LINES)
READABLE = (*ANSWERABLE, CSV)

# By name of Python's codec. A list, not "whatever Python decodes": punycode and unicode_escape are codecs, too.
_ASCII_COMPATIBLE = frozenset({"utf-8", "utf-8-sig", "ascii", "iso8859-1", "cp1252", "iso8859-15"})
_WIDE = frozenset({"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class MediaType:
    """A content type the doors read: its name in lower case, and the codec of its text."""

    name: str = JSON
    codec: str = "utf-8"

    @property
    def is_lines(self) -> bool:
        """Whether the body holds one record per line."""
        return self.name != JSON

    @property
    def is_csv(self) -> bool:
        """Whether records are rows of CSV instead of JSON."""
        return self.name == CSV

    @property
    def answer(self) -> str:
        """What the answer is called unless the caller wishes otherwise."""
        return JSON_LINES[0] if self.is_csv else self.name

    @property
    def splits_as_bytes(self) -> bool:
        """Whether the byte 0x0A is always a line's end, so that lines can be decoded one by one."""
        return self.codec in _ASCII_COMPATIBLE

    def decode(self, data: bytes | bytearray | str) -> str:
        """The text of `data` without a byte order mark; text that was decoded already passes through.

        Raises:
            MalformedBody: bytes that the charset does not have.
        """
        if isinstance(data, str):
            return data.removeprefix(_BOM)
        try:
            return data.decode(self.codec).removeprefix(_BOM)
        except UnicodeDecodeError as error:
            tip = "It looks compressed: send it as it is." if bytes(data[:2]) == b"\x1f\x8b" else None
            what = f"The body is not {self.codec}: {error.reason} at byte {error.start}."
            raise MalformedBody(what, tip=tip) from None


def parse_content_type(header: str | None) -> MediaType:
    """The media type a Content-Type header names; a missing header means JSON.

    Raises:
        UnsupportedMediaType: another type than JSON, JSON Lines or CSV, or a charset that is not read.
    """
    if header is None or not header.strip():
        return MediaType()
    name, parameters = _parse(header)
    if name not in READABLE:
        raise UnsupportedMediaType(f"Content-Type {header[:100]!r} is not read.", tip=f"Use {' or '.join(READABLE)}.")
    charset = parameters.get("charset", "utf-8")
    try:
        codec = codecs.lookup(charset).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in _ASCII_COMPATIBLE | _WIDE:
        raise UnsupportedMediaType(f"Charset {charset[:40]!r} is not read.", tip="Use utf-8.")
    return MediaType(name, codec)


def negotiate(accept: str | None, request: MediaType) -> str:
    """The content type of the answer: the best that Accept allows, the request's own on a tie.

    Raises:
        NotAcceptable: Accept allows neither JSON nor JSON Lines.
    """
    own = request.answer
    if accept is None or not accept.strip():
        return own
    ranges = list(_ranges(accept))
    offers = (own, *(name for name in ANSWERABLE if name != own))
    best = max(offers, key=lambda name: _quality(name, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(f"Accept {accept[:100]!r} cannot be answered.", tip=f"Use {' or '.join(ANSWERABLE)}.")
    return own if request.is_lines and best == JSON else best


def _quality(name: str, ranges: list[tuple[str, float]]) -> float:
    """q of the most specific range that covers `name`; 0 when none does (RFC 9110, 12.5.1)."""
    for candidate in (name, f"{name.partition('/')[0]}/*", "*/*"):
        matching = [quality for pattern, quality in ranges if pattern == candidate]
        if matching:
            return max(matching)
    return 0.0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, parameters = _parse(part)
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            continue
        if name and 0 <= quality <= 1:
            yield "*/*" if name == "*" else name, quality


def _parse(header: str) -> tuple[str, dict[str, str]]:
    """`Type/Sub; Key="Value"` as ("type/sub", {"key": "Value"})."""
    name, *rest = header.split(";")
    pairs = (parameter.partition("=") for parameter in rest)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
