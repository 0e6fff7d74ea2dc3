"""Templates by URL: the CDK CLI uploads them to S3 and names them by whatever endpoint it was given."""

from urllib.parse import unquote, urlsplit

from rerank_local.control import loopback
from rerank_local.control.errors import TemplateError


def read_template(url: str, region: str) -> str:
    """Text of the object behind a template URL.

    Raises:
        TemplateError: the URL is not one of S3, or there is no such object.
    """
    bucket, key = bucket_and_key(url)
    client = loopback.client("s3", region)
    try:
        body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.ClientError as error:
        raise TemplateError(f"S3 error: {error.response['Error']['Message']} ({url})") from error
    return body.decode()


def bucket_and_key(url: str) -> tuple[str, str]:
    """Bucket and key of `https://s3…/bucket/key`, `https://bucket.s3…/key` or `http://127.0.0.1:port/bucket/key`. Pure.

    Raises:
        TemplateError: the URL has none of these forms.
    """
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    if host.replace(".", "").isdigit() or host == "localhost" or host.startswith(("s3.", "s3-")):
        bucket, _, key = path.partition("/")
    elif ".s3." in host or ".s3-" in host:
        bucket, key = host.split(".s3")[0], path
    else:
        bucket, key = "", ""
    if not bucket or not key:
        raise TemplateError(f"TemplateURL must reference a valid S3 object, got {url}")
    return bucket, key
