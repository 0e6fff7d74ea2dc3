"""What a job wrote: .out files, downloaded and counted."""

import gzip
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rerank_local.data.transform.files import output_name
from rerank_ops.errors import Refused
from rerank_ops.transform.inputs import parse_uri


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One .out file.

    Attributes:
        name: key relative to the job's output prefix.
        records: lines.
        errors: lines that hold an error instead of a ranking.
        first_error: what the first of them says.
    """

    name: str
    records: int
    errors: int
    first_error: str | None = None


def list_outputs(s3: Any, uri: str) -> list[str]:
    """Keys of the .out objects below an output prefix."""
    bucket, prefix = parse_uri(uri.rstrip("/") + "/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", []) if item["Key"].endswith(".out")]


def download(s3: Any, uri: str, folder: Path) -> list[OutputFile]:
    """Downloads every .out object below `uri` into `folder`, folders kept, and counts its records."""
    bucket, prefix = parse_uri(uri.rstrip("/") + "/")
    counted = []
    for key in list_outputs(s3, uri):
        name = key.removeprefix(prefix)
        path = folder / inside(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(path))
        with path.open("rb") as lines:
            counted.append(count(name, lines))
    return counted


def incomplete(s3: Any, input_uri: str, files: Iterable[OutputFile], *, compressed: bool) -> list[str]:
    """What is wrong with files that have not a record for each line of their input object, which is read for it.

    An input object that is there no more is passed over. Lines end as in SageMaker's own splitter: \\n, \\r\\n or \\r.
    """
    bucket, prefix = parse_uri(input_uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    inputs = {output_name(key, prefix): key for key in keys}
    wrong = []
    for file in files:
        if file.name not in inputs:
            continue
        body = s3.get_object(Bucket=bucket, Key=inputs[file.name])["Body"]
        raw: Any = gzip.GzipFile(fileobj=body) if compressed else io.BufferedReader(body)
        with io.TextIOWrapper(raw, encoding="latin-1") as lines:
            given = sum(1 for _ in lines)
        if given != file.records:
            wrong.append(f"{file.name} has {file.records:,} records for {given:,} lines of its input")
    return wrong


def inside(name: str) -> PurePosixPath:
    """`name` as a relative path that stays inside its folder: a key may be called anything."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise Refused(f"Object {name!r} would be written outside the folder.", tip="Fetch it with aws s3 cp.")
    return path


def count(name: str, lines: Iterable[bytes]) -> OutputFile:
    """Records and errors of one file's lines."""
    records, errors, first = 0, 0, None
    for line in lines:
        if not line.strip():
            continue
        records += 1
        message = error_of(line)
        if message is not None:
            errors, first = errors + 1, first or message
    return OutputFile(name, records, errors, first)


def error_of(line: bytes) -> str | None:
    """What an error record says; None for a ranking. Joined output has it under SageMakerOutput."""
    try:
        value = json.loads(line)
    except ValueError:
        return "not JSON"
    answer = value.get("SageMakerOutput", value) if isinstance(value, dict) else None
    if not isinstance(answer, dict) or "error" not in answer:
        return None
    return str(answer["error"])
