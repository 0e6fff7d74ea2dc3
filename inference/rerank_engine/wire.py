"""JSON as it crosses the wire: strict on the way in, one compact line on the way out.

Stricter than Python's default, as RFC 8259 has it: no NaN or Infinity, neither spelled out nor by overflow (1e999).
Duplicate keys are allowed, the last one wins. A lone surrogate (`"\\ud800"`) is read, and echoed as an escape.
"""

import json
import math
from typing import Never

from rerank_engine.errors import MalformedBody


def _constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} does not fit a double")
    return value


_decoder = json.JSONDecoder(parse_constant=_constant, parse_float=_finite)
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_ascii_encoder = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False)


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


def dumps(value: object) -> bytes:
    """`value` as one line of UTF-8 JSON.

    Raises:
        MalformedBody: it echoes something of the caller's that is nested too deeply to write.
    """
    try:
        return _encoder.encode(value).encode()
    except UnicodeEncodeError:  # a lone surrogate: UTF-8 has no bytes for it, JSON's escape does
        return _ascii_encoder.encode(value).encode()
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
