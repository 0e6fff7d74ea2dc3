"""JSON Lines: as many lines out as lines in, in order (https://jsonlines.org).

Only "\\n" ends a line (a "\\r" before it is white space to JSON); a newline at the very end adds no record; a blank
line is a record and gets an answer like any other: SageMaker's JoinSource pairs input and output by position.
A body whose records cannot be told apart (compressed, UTF-16 that is not declared, carriage returns as line ends, one
JSON value over many lines) is refused as a whole: answers to some other number of lines would hide what is missing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import AnyStr

from rerank_engine import wire
from rerank_engine.errors import MalformedBody, RerankError
from rerank_engine.service.media import MediaType

# How compressed data begins, and texts whose line ends are not single bytes.
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_WIDE = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_BOM = "\ufeff"


def split(body: bytes | bytearray | str, media: MediaType) -> list[str | MalformedBody]:
    """The lines of `body`, at least one; a line whose bytes are not text stands as the error it is.

    Raises:
        MalformedBody: a body of which the lines cannot be told apart: it is compressed, or UTF-16 or UTF-32 that is not
            declared or cannot be decoded.
    """
    if isinstance(body, str) or not media.splits_as_bytes:
        return [line.removeprefix(_BOM) for line in _lines(media.decode(body).split("\n"))]
    _refuse_other_formats(bytes(body[:8]), media)
    return [_decode(line, media) for line in _lines(bytes(body).split(b"\n"))]


def join(answers: Iterable[bytes]) -> bytes:
    """One answer a line and no newline at the end: batch transform's AssembleWith=Line adds its own."""
    return b"\n".join(answers)


def check_line_ends(line: str, read: Callable[[str], object]) -> None:
    """Raise MalformedBody if a line that `read` refuses is several records, with a carriage return between them."""
    parts = [part for part in line.split("\r") if part.strip()]
    if len(parts) > 1 and all(_reads(part, read) for part in parts):
        raise MalformedBody(
            f"A line holds {len(parts)} records with carriage returns between them.",
            tip="End lines with \\n or \\r\\n: tr '\\r' '\\n' < old > new.",
        )


def check_records(lines: Sequence[str], malformed: int, declared: MediaType) -> None:
    """Raise MalformedBody if lines, of which some are not JSON, are not the records that they are taken for.

    They are not if all together are JSON, so that a record lies on many lines. Nor if none of them is JSON and nobody
    called them JSON Lines: then they are CSV, or something else.

    Args:
        lines: those that are not blank.
        malformed: how many of them are not JSON, at least one.
        declared: what the body is called.
    """
    if wire.is_values("\n".join(lines)):
        what = f"The body is JSON over {len(lines)} lines, {malformed} of which are not JSON by themselves."
    elif malformed == len(lines) and not declared.is_lines:
        what = f"The body has {malformed} lines, and none of them is JSON."
    else:
        return
    raise MalformedBody(
        what, tip="A batch job reads a record a line: write each on one line (jq -c .), and call CSV text/csv."
    )


def _refuse_other_formats(start: bytes, media: MediaType) -> None:
    for mark, name in _COMPRESSED.items():
        if start.startswith(mark):
            raise MalformedBody(
                f"The body is compressed ({name}).",
                tip="Send it uncompressed; of a batch job say CompressionType Gzip.",
            )
    for mark, name in _WIDE.items():
        if start.startswith(mark):
            raise MalformedBody(
                f"The body is {name}, not {media.codec}.", tip=f"Send utf-8, or say charset={name} in Content-Type."
            )


def _lines(parts: list[AnyStr]) -> list[AnyStr]:
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def _decode(line: bytes, media: MediaType) -> str | MalformedBody:
    try:
        return media.decode(line)
    except MalformedBody as error:
        return error


def _reads(part: str, read: Callable[[str], object]) -> bool:
    try:
        read(part)
    except RerankError:
        return False
    return True
