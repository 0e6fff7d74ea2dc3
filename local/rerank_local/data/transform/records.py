"""Batch transform, pure: a file becomes records, records become payloads, responses become a file.

Follows AWS's own emulation, `sagemaker.core.local.data` (tests hold both against each other), with three deliberate
differences: sizes are counted in bytes (AWS's counts a Python string's memory), a record over the limit is always
an error that names it (AWS's sends it when another record follows), and bytes that are not UTF-8 pass through.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rerank_local.data.errors import RecordTooLarge

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Payload:
    """The body of one request.

    Attributes:
        first: index of its first record in the file, from 0.
        records: the records as they are sent, each with its own line end.
    """

    first: int
    records: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        """What is posted."""
        return b"".join(self.records)


def split_records(data: bytes, split_type: str | None) -> list[bytes]:
    r"""The records of a file: the whole file, or its lines, each with its line end.

    Line ends \r\n and \r read as \n, as in AWS's emulation. An empty file is one empty record when it is not split, and
    none when it is.

    Raises:
        ValueError: a split type other than None and Line.
    """
    if split_type in (None, "None"):
        return [data]
    if split_type != "Line":
        raise ValueError(f"SplitType {split_type!r} is not done here: use None or Line.")
    unified = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = unified.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def batches(records: Sequence[bytes], strategy: str, limit_bytes: int) -> Iterator[Payload]:
    """Payloads of at most `limit_bytes` (0: no limit): one record each, or as many as fit; order kept.

    Worked example: records of 3, 3 and 5 bytes under a limit of 6 make payloads of 3+3 and 5 bytes.

    Raises:
        RecordTooLarge: a record does not fit by itself.
        ValueError: a strategy other than SingleRecord and MultiRecord.
    """
    if strategy not in ("SingleRecord", "MultiRecord"):
        raise ValueError(f"BatchStrategy {strategy!r} is not known: use SingleRecord or MultiRecord.")
    first, size = 0, 0
    pending: list[bytes] = []
    for index, record in enumerate(records):
        if limit_bytes and len(record) > limit_bytes:
            raise RecordTooLarge(
                f"Record {index + 1} has {len(record):,} bytes, more than the {limit_bytes:,} of MaxPayloadInMB.",
                tip="Raise MaxPayloadInMB (at most 100), or split the record.",
            )
        full = bool(limit_bytes) and size + len(record) > limit_bytes
        if pending and (strategy == "SingleRecord" or full):
            yield Payload(first, tuple(pending))
            first, size, pending = index, 0, []
        pending.append(record)
        size += len(record)
    if pending:
        yield Payload(first, tuple(pending))


def assemble(parts: Iterable[bytes], assemble_with: str | None) -> bytes:
    r"""The output object: parts one after the other; with Line, a \n after every one of them.

    A part that already ends in a newline therefore leaves an empty line, as on AWS.
    """
    end = b"\n" if assemble_with == "Line" else b""
    return b"".join(part + end for part in parts)
