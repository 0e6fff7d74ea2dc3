"""Which local AWS a request is meant for: its access key id names the local AWS's home.

A shell keeps AWS_ENDPOINT_URL after its local AWS was stopped, and the next one, of another project, may get the port.
So `rerank local env` gives keys whose id is made from the home, the same after a restart, and a local AWS refuses
requests that are signed with any key but its own and those its STS and IAM issued. SigV4 and SigV2 are read, in the
header and in presigned URLs. Requests without a signature name no AWS and pass: health, `curl`, public objects.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

PREFIX = "RERANKLOCAL"  # not AWS's AKIA or ASIA: no scanner takes such a key for a leaked one
_LENGTH = 20  # of every access key id; moto recognises no other length
_HEADER = re.compile(r"^AWS4-\S+\s+.*?Credential=(?P<v4>[^/,\s]+)|^AWS (?P<v2>[^:\s]+):")


def key_id(home: Path) -> str:
    """The access key id of the local AWS of a home: equal for equal folders, nothing that has to be kept."""
    digest = base64.b32encode(hashlib.sha256(str(home).encode("utf-8", "surrogateescape")).digest())
    return (PREFIX + digest.decode())[:_LENGTH]


def signed_with(environ: Mapping[str, Any]) -> str | None:
    """The access key id that a WSGI request is signed with; None when it is not signed."""
    found = _HEADER.match(environ.get("HTTP_AUTHORIZATION", ""))
    if found:
        return found["v4"] or found["v2"]
    query = parse_qs(environ.get("QUERY_STRING", ""))
    scope = query.get("X-Amz-Credential") or query.get("AWSAccessKeyId")
    return scope[0].partition("/")[0] if scope else None


def service_of(environ: Mapping[str, Any]) -> str | None:
    """The service in the credential scope of a SigV4 signature: `KEY/date/region/service/aws4_request`."""
    query = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    scope = re.search(r"Credential=[^/,\s]+/[^/]+/[^/]+/([^/,\s]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    parts = query.split("/")
    return scope[1] if scope else parts[3] if len(parts) > 4 else None


def issued_here(key: str) -> bool:
    """Whether the STS or IAM of this process issued a key: the CDK CLI signs with those of the roles it assumes."""
    from moto.iam.models import iam_backends
    from moto.utilities.utils import PARTITION_NAMES

    accounts = list(iam_backends.values())
    return any(key in account[partition].access_keys for account in accounts for partition in PARTITION_NAMES)


def install() -> None:
    """Lets GetSessionToken and GetFederationToken issue keys of their own; moto gives everyone the same example."""
    from moto.iam.models import iam_backends
    from moto.sts.responses import TokenResponse

    def issuing(original: Any) -> Any:
        def action(self: Any) -> Any:
            answer = original(self)
            key = iam_backends[self.current_account][self.partition].create_temp_access_key()
            issued = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}
            answer.result["Credentials"].update(issued)
            return answer

        action.issues_keys = True  # type: ignore[attr-defined]
        return action

    for name in ("get_session_token", "get_federation_token"):
        if not hasattr(getattr(TokenResponse, name), "issues_keys"):
            setattr(TokenResponse, name, issuing(getattr(TokenResponse, name)))
