"""The little of S3 the data plane needs: addresses, and reading a model's archive."""

from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

from rerank_local.data.errors import InputFailed

Fetch = Callable[[str], BinaryIO]


class S3Client(Protocol):
    """The calls of boto3's S3 client that are used here."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]: ...  # noqa: D102, N803 - boto3's own names

    def put_object(self, **kwargs: Any) -> dict[str, Any]: ...  # noqa: D102

    def list_objects_v2(self, **kwargs: Any) -> dict[str, Any]: ...  # noqa: D102


def bucket_and_key(url: str) -> tuple[str, str]:
    """Bucket and key of an S3 address; the key may be empty.

    Three forms: `s3://bucket/key`, `https://s3.<region>.<suffix>/bucket/key` (path style) and
    `https://bucket.s3.<region>.<suffix>/key` (virtual hosts).

    Raises:
        InputFailed: not an S3 address.
    """
    parts = urlsplit(url)
    host, path = parts.netloc, parts.path.lstrip("/")
    if parts.scheme == "s3" and host:
        # A key may hold ? and #, which urlsplit would cut off.
        return host, url.split("://", 1)[1].partition("/")[2]
    if parts.scheme in ("http", "https") and host:
        bucket, dot, _ = host.partition(".s3.")
        if dot or ".s3-" in host:
            return bucket if dot else host.partition(".s3-")[0], unquote(path)
        bucket, _, key = path.partition("/")
        if bucket:
            return bucket, unquote(key)
    raise InputFailed(f"{url!r} is not an S3 address.", tip="Write it as s3://bucket/key.")


def fetcher(client: Callable[[], S3Client]) -> Fetch:
    """A function that opens the object at an S3 address for reading.

    `client` is called for each fetch, so that it may be built when it is first needed.
    """

    def fetch(url: str) -> BinaryIO:
        bucket, key = bucket_and_key(url)
        return cast(BinaryIO, client().get_object(Bucket=bucket, Key=key)["Body"])

    return fetch
