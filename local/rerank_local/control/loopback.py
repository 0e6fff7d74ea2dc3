"""boto3 clients of the AWS we are part of: over HTTP to this very server, or in-process under moto's `mock_aws`."""

from functools import lru_cache
from typing import Any

from rerank_local.control.errors import ControlError

ACCOUNT = "123456789012"  # moto's account; the local AWS has no other

_server_url: str | None = None
_key_id = "testing"  # what moto expects; no secret


def serve_at(url: str | None, key_id: str = "testing") -> None:
    """Points the clients at `url`, the server in this process, which knows `key_id`; None: back to `mock_aws`."""
    global _server_url, _key_id
    _server_url, _key_id = url, key_id


def server_url() -> str | None:
    """Where this process serves; None under `mock_aws`."""
    return _server_url


def client(service: str, region: str) -> Any:
    """A boto3 client of the local AWS; never one of a real account.

    Raises:
        ControlError: there is neither a server in this process nor an active `mock_aws`.
    """
    if _server_url is None:
        from moto.core.models import MockAWS

        if not MockAWS._mocks_active:
            raise ControlError("No local AWS: start the server, or use moto's mock_aws around the call")
    return _client(service, region, _server_url, _key_id)


@lru_cache(maxsize=128)
def _client(service: str, region: str, url: str | None, key_id: str) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    keys = {"aws_access_key_id": key_id, "aws_secret_access_key": "testing"}  # no secret
    session = Session(**keys, region_name=region)
    retries = {"total_max_attempts": 1}
    config = Config(retries=retries, s3={"addressing_style": "path"}, read_timeout=600, proxies={})
    return session.client(service, endpoint_url=url, config=config)
