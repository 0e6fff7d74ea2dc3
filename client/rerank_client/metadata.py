"""The region of the EC2 instance that a program runs on, asked as the CDK CLI asks: on EC2 only, and for a second."""

import json
import os
import urllib.request
from pathlib import Path

TIMEOUT_S = 1.0
ENDPOINT = "http://169.254.169.254"
BOARD = Path("/sys/devices/virtual/dmi/id/board_asset_tag")  # i-… on Nitro instances
HYPERVISOR = Path("/sys/hypervisor/uuid")  # ec2… on Xen instances
_DOCUMENT = "/latest/dynamic/instance-identity/document"
_TOKEN = ("X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds")


def region() -> str | None:
    """The instance's region; None elsewhere, and where AWS_EC2_METADATA_DISABLED says that nobody shall ask."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "false") not in ("", "false") or not on_ec2():
        return None
    try:
        token = _ask("/latest/api/token", method="PUT", headers={_TOKEN[1]: "60"}).decode()
        found = json.loads(_ask(_DOCUMENT, headers={_TOKEN[0]: token})).get("region")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and found else None


def on_ec2() -> bool:
    """Whether this machine says that it is an EC2 instance (Linux); a laptop is not kept waiting for a network."""
    return _starts(BOARD, "i-") or _starts(HYPERVISOR, "ec2")


def _starts(path: Path, prefix: str) -> bool:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().lower().startswith(prefix)
    except OSError:
        return False


def _ask(path: str, *, method: str = "GET", headers: dict[str, str]) -> bytes:
    endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or ENDPOINT
    url = endpoint.rstrip("/") + path
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - as the user's variable says
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the address is this machine's own
    with opener.open(request, timeout=TIMEOUT_S) as reply:
        return bytes(reply.read())
