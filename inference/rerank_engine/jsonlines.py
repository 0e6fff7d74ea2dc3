"""JSON Lines: as many lines out as lines in, in order (https://jsonlines.org).

Only "\\n" ends a line (a "\\r" before it is white space to JSON); a newline at the very end adds no record; a blank
line is a record and gets an answer like any other: SageMaker's JoinSource pairs input and output by position.
"""

from collections.abc import Iterable
from typing import AnyStr

from rerank_engine.errors import MalformedBody
from rerank_engine.media import MediaType


def split(body: bytes | bytearray | str, media: MediaType) -> list[str | MalformedBody]:
    """The lines of `body`, at least one; a line whose bytes are not text stands as the error it is.

    Raises:
        MalformedBody: a UTF-16 or UTF-32 body that cannot be decoded, so that its lines cannot be told apart.
    """
    if isinstance(body, str) or not media.splits_as_bytes:
        return list(_lines(media.decode(body).split("\n")))
    return [_decode(line, media) for line in _lines(bytes(body).split(b"\n"))]


def join(answers: Iterable[bytes]) -> bytes:
    """One answer a line and no newline at the end: batch transform's AssembleWith=Line adds its own."""
    return b"\n".join(answers)


def _lines(parts: list[AnyStr]) -> list[AnyStr]:
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def _decode(line: bytes, media: MediaType) -> str | MalformedBody:
    try:
        return media.decode(line)
    except MalformedBody as error:
        return error
