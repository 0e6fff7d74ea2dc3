"""The files of a transform job: what is read, and under which key the result is written."""

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

from rerank_local.data.errors import InputFailed
from rerank_local.data.s3 import S3Client, bucket_and_key


@dataclass(frozen=True, slots=True)
class InputFile:
    """An input object, and the key of its output below S3OutputPath."""

    bucket: str
    key: str
    output: str


def output_name(key: str, prefix: str) -> str:
    """Where the result of `key` goes, relative to S3OutputPath: the key below the prefix, and `.out`.

    AWS's own example transforms .../open-images/jpg and finds <output>/0000.jpg.out, so the prefix's last folder is
    not repeated. A prefix that ends within a name (`in/part-`) counts up to its last slash; a prefix that is the key
    leaves the name alone. (The last two rest on the AWS emulation in its SDK and on reports, not on documentation.)
    """
    rest = key[len(prefix) :]
    below = rest.lstrip("/") if rest and (rest.startswith("/") or prefix.endswith("/") or not prefix) else ""
    return (below or key[prefix.rfind("/") + 1 :]) + ".out"


def list_files(s3: S3Client, data_type: str, uri: str) -> list[InputFile]:
    """The job's input objects, in the order S3 lists them or the manifest names them.

    Keys that end in a slash (folder markers) are left out.

    Raises:
        InputFailed: in AWS's words: there are none, the bucket cannot be listed, or the manifest is not one.
    """
    bucket, key = bucket_and_key(uri)
    try:
        files = _manifest(s3, bucket, key) if data_type == "ManifestFile" else _prefix(s3, bucket, key)
    except InputFailed:
        raise
    except Exception as error:  # whatever the store raises: its text is what the reader needs
        raise InputFailed(f'ClientError: S3 URL "{uri}" cannot be read: {error}') from error
    if not files:
        raise InputFailed(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            "bucket exists in the selected region, that objects exist under that S3 prefix, and that the role has "
            f's3:ListBucket permissions on bucket "{bucket}".'
        )
    return files


def read_file(s3: S3Client, file: InputFile, *, compressed: bool) -> bytes:
    """The object's bytes, unpacked if the job says Gzip.

    Raises:
        InputFailed: it cannot be read, or is not gzip.
    """
    try:
        data: bytes = s3.get_object(Bucket=file.bucket, Key=file.key)["Body"].read()
    except Exception as error:  # as above
        raise InputFailed(f"It cannot be read: {error}") from error
    if not compressed:
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputFailed(f"CompressionType is Gzip, but the object is not: {error}.") from error


def _prefix(s3: S3Client, bucket: str, prefix: str) -> list[InputFile]:
    files: list[InputFile] = []
    more: dict[str, Any] = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        keys = [item["Key"] for item in page.get("Contents", [])]
        files += [InputFile(bucket, key, output_name(key, prefix)) for key in keys if not key.endswith("/")]
        if not page.get("IsTruncated"):
            return files
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _manifest(s3: S3Client, bucket: str, key: str) -> list[InputFile]:
    shape = '[{"prefix": "s3://bucket/folder/"}, "file-1", "file-2", …]'
    try:
        content = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        head, names = content[0], content[1:]
        data_bucket, base = bucket_and_key(head["prefix"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InputFailed(
            f"ClientError: The manifest s3://{bucket}/{key} is not a list of the form {shape}."
        ) from error
    if not all(isinstance(name, str) and name for name in names):
        raise InputFailed(f"ClientError: The manifest s3://{bucket}/{key} names something other than files: {shape}.")
    return [InputFile(data_bucket, base + name, name.lstrip("/") + ".out") for name in names]
