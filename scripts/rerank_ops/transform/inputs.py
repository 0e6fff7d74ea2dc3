"""The input of a job: local JSON Lines files, looked through and uploaded, or objects already in S3, looked up."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from rerank_ops.errors import NotFound, Refused

_GZIP = b"\x1f\x8b"
_SUFFIXES = (".jsonl", ".ndjson", ".jsonlines", ".json")


@dataclass(frozen=True, slots=True)
class Source:
    """What goes into a job.

    Attributes:
        uri: s3:// prefix.
        objects: objects under it that hold something.
        compression: of all of them; SageMaker takes one answer for the whole job.
    """

    uri: str
    objects: int
    compression: Literal["None", "Gzip"] = "None"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What looking through local files found.

    Attributes:
        records: lines.
        longest_bytes: the longest line.
        faults: `file:line: what is wrong` of lines whose output will be an error.
        reserved: `file:line` of records that have a key SageMakerOutput, which joining would need.
    """

    records: int
    longest_bytes: int
    faults: tuple[str, ...]
    reserved: tuple[str, ...]


def parse_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def local_files(path: Path) -> list[Path]:
    """The files of a job: `path` itself, or every JSON Lines file below it.

    Raises:
        NotFound: there is none.
        Refused: compressed and plain files together, or a file whose name hides that it is compressed, or pretends it.
    """
    if not path.exists():
        raise NotFound(
            f"{path} does not exist.", tip="Give a JSON Lines file, a folder of them, or s3://bucket/prefix."
        )
    files = sorted(file for file in path.rglob("*") if _is_input(file)) if path.is_dir() else [path]
    if not files:
        raise NotFound(f"{path} holds no JSON Lines file.", tip=f"Files end in {', '.join(_SUFFIXES)} (and .gz).")
    if len({file.suffix == ".gz" for file in files}) > 1:
        raise Refused(f"{path} holds compressed and plain files.", tip="One job reads one kind: start two jobs.")
    for file in files:
        with file.open("rb") as raw:
            start = raw.read(len(_GZIP))
        if (start == _GZIP) != (file.suffix == ".gz"):
            raise Refused(
                f"{file} is {'gzip' if start == _GZIP else 'not gzip'}, which its name does not say.",
                tip="Compressed files end in .gz, others do not: SageMaker is told by the name.",
            )
    return files


def inspect(files: Sequence[Path]) -> Inspection:
    """Reads every line: its size, and whether it can be answered at all.

    Raises:
        Refused: a file whose name ends in .gz is not compressed, or is cut short.
    """
    records, longest = 0, 0
    faults: list[str] = []
    reserved: list[str] = []
    for file in files:
        for number, line in enumerate(_lines(file), start=1):
            records, longest = records + 1, max(longest, len(line))
            fault, value = _look_at(line)
            if fault:
                faults.append(f"{file.name}:{number}: {fault}")
            if isinstance(value, dict) and "SageMakerOutput" in value:
                reserved.append(f"{file.name}:{number}")
    return Inspection(records, longest, tuple(faults), tuple(reserved))


def upload(s3: Any, files: Sequence[Path], base: Path, uri: str, kms_key_arn: str | None) -> Source:
    """Puts the files below `uri`, folders kept, encrypted with the deployment's key."""
    bucket, prefix = parse_uri(uri)
    extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_arn} if kms_key_arn else {}
    for file in files:
        relative = file.relative_to(base).as_posix() if base.is_dir() else file.name
        s3.upload_file(str(file), bucket, f"{prefix.rstrip('/')}/{relative}", ExtraArgs=extra)
    return Source(uri, len(files), "Gzip" if files[0].suffix == ".gz" else "None")


def look_up(s3: Any, uri: str) -> Source:
    """What lies under an s3:// prefix.

    Raises:
        NotFound: nothing that has content.
        Refused: the bucket is in another region; a folder marker would fail the job; compressed and plain objects.
    """
    bucket, prefix = parse_uri(uri)
    region = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
    if region != s3.meta.region_name:
        raise Refused(
            f"Bucket {bucket!r} is in {region}; the job would run in {s3.meta.region_name}.",
            tip="SageMaker reads buckets of its own region only: copy the data, or pass --region.",
        )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    objects = [(item["Key"], item["Size"]) for page in pages for item in page.get("Contents", [])]
    if markers := [key for key, _ in objects if key.endswith("/")]:
        raise Refused(
            f"{markers[0]!r} is a folder marker, which is no file.", tip="Delete it, or name a longer prefix."
        )
    if not any(size for _, size in objects):
        raise NotFound(f"No object under {uri} has content.")
    if len(kinds := {key.endswith(".gz") for key, _ in objects}) > 1:
        raise Refused(f"{uri} holds compressed and plain objects.", tip="One job reads one kind: name a longer prefix.")
    return Source(uri, len(objects), "Gzip" if kinds == {True} else "None")


def _is_input(file: Path) -> bool:
    return file.is_file() and file.name.removesuffix(".gz").endswith(_SUFFIXES)


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as raw:
        stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw  # type: ignore[assignment]
        try:
            for line in stream:
                yield line.rstrip(b"\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Refused(
                f"{file} is not a complete gzip file: {error}.", tip="Compress it again, or drop .gz from its name."
            ) from error


def _look_at(line: bytes) -> tuple[str | None, object]:
    if not line.strip():
        return "the line is empty", None
    try:
        value = json.loads(line)
    except ValueError as error:
        return f"not JSON ({error})", None
    return (None if isinstance(value, dict) else "not a JSON object"), value
