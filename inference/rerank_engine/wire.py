"""JSON as it crosses the wire: strict on the way in, one compact line on the way out.

Stricter than Python's default, as RFC 8259 has it: no NaN or Infinity, neither spelled out nor by overflow (1e999).
Duplicate keys are allowed, the last one wins. A lone surrogate (`"\\ud800"`) is read, and echoed as an escape.

Most of a large answer are the caller's own documents. `echo` marks them, and `dumps` writes them past the encoder,
which would look at every character: byte for byte the same, in less than half the time.
"""

import json
import math
import secrets
from dataclasses import dataclass
from typing import Never

from rerank_engine.errors import MalformedBody


def _constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} does not fit a double")
    return value


_ECHOED_CHARACTERS = 64
_MARK = secrets.token_hex(16)  # stands for an echo while the rest is encoded; not to be guessed, and never sent
_CONTROLS = bytes(range(0x20))
_ESCAPES = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"))


@dataclass(slots=True)
class Echo:
    """A long text of the caller's on its way back. Not frozen: that would take twice as long to make."""

    text: str


_decoder = json.JSONDecoder(parse_constant=_constant, parse_float=_finite)


def loads(text: str) -> object:
    """The JSON value of `text`.

    Raises:
        MalformedBody: it is empty, not JSON, or nested too deeply to read.
    """
    if not text or text.isspace():
        raise MalformedBody("The body is empty.", tip='Send a JSON object, such as {"query": "…", "documents": ["…"]}.')
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise MalformedBody(f"The body is not JSON: {error.msg} at {where}.") from None
    except ValueError as error:
        raise MalformedBody(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None


def is_values(text: str) -> bool:
    """Whether `text` is JSON: one value, or several with white space between them."""
    end = len(text)
    at = _next(text, 0)
    while at < end:
        try:
            _, at = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return False
        at = _next(text, at)
    return bool(text.strip())


def echo(value: object) -> object:
    """`value` for `dumps`: marked if it is a long text, its members if it is an object."""
    if isinstance(value, dict):
        return {key: _marked(inner) for key, inner in value.items()}
    return _marked(value)


def dumps(value: object) -> bytes:
    """`value`, which may hold echoes, as one line of UTF-8 JSON.

    Raises:
        MalformedBody: it echoes something of the caller's that is nested too deeply to write.
    """
    try:
        frame, echoes = _frame(value, ensure_ascii=False)
    except UnicodeEncodeError:  # a lone surrogate: UTF-8 has no bytes for it, JSON's escape does
        frame, echoes = _frame(value, ensure_ascii=True)
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    if not echoes:
        return frame
    head, *tails = frame.split(_MARK.encode())
    written = [part for text, tail in zip(echoes, tails, strict=True) for part in (_escaped(text), tail)]
    return b"".join((head, *written))


def _next(text: str, at: int) -> int:
    """Where the next character stands that is no white space to JSON."""
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _marked(value: object) -> object:
    return Echo(value) if isinstance(value, str) and len(value) >= _ECHOED_CHARACTERS else value


def _frame(value: object, *, ensure_ascii: bool) -> tuple[bytes, list[str]]:
    """`value` with a mark for each echo, and the echoes in the order of their marks."""
    echoes: list[str] = []

    def mark(one: object) -> str:
        if not isinstance(one, Echo):
            raise TypeError(f"{type(one).__name__} is not JSON")
        echoes.append(one.text)
        return _MARK

    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, separators=(",", ":"), allow_nan=False, default=mark)
    return encoder.encode(value).encode(), echoes


def _escaped(text: str) -> bytes:
    """`text` as the encoder writes it, without the quotes around it."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return json.dumps(text).encode()[1:-1]
    for character, escape in _ESCAPES:
        data = data.replace(character, escape)
    if len(data.translate(None, _CONTROLS)) != len(data):
        return json.dumps(text, ensure_ascii=False).encode()[1:-1]
    return data
