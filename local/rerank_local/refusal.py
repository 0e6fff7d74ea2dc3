"""What a request gets that is signed with the key of another AWS: AWS's own error, in the request's protocol. Pure."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from rerank_local.identity import PREFIX, service_of

Reply = tuple[str, list[tuple[str, str]], bytes]  # status line, headers, body


def message(key: str, home: Path, url: str) -> str:
    """Which local AWS this is, why it does not answer, and what to run."""
    whose = "of another local AWS, which this shell still points at" if key.startswith(PREFIX) else "not issued by it"
    command = f'eval "$(rerank local env --home {shlex.quote(str(home))})"'
    return (
        f"The AWS at {url} is the local AWS of {home}, and the request is signed with access key {key}, {whose}. "
        f'To use this one, run: {command}. To use another, run: eval "$(rerank local env)" in its project\'s folder.'
    )


def foreign_key(environ: Mapping[str, Any], text: str) -> Reply:
    """The refusal of a request, as boto3, the aws CLI and the CDK CLI read it.

    Args:
        environ: the WSGI request.
        text: what `message` says.
    """
    service = service_of(environ) or ""
    request_id = str(uuid4())
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        body = b"\xa2" + b"".join(map(_cbor_text, ("__type", "UnrecognizedClientException", "message", text)))
        return _reply("400 Bad Request", "application/cbor", body, ("smithy-protocol", "rpc-v2-cbor"))
    if environ.get("HTTP_X_AMZ_TARGET"):
        error = {"__type": "UnrecognizedClientException", "message": text}
        return _reply("400 Bad Request", "application/x-amz-json-1.1", json.dumps(error).encode())
    if not service.startswith("s3") and _is_query(environ):
        error_xml = f"<Code>InvalidClientTokenId</Code><Message>{escape(text)}</Message>"
        if service == "ec2":
            xml = f"<Response><Errors><Error>{error_xml}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        else:
            error_xml = f"<Error><Type>Sender</Type>{error_xml}</Error><RequestId>{request_id}</RequestId>"
            xml = f"<ErrorResponse>{error_xml}</ErrorResponse>"
        return _reply("403 Forbidden", "text/xml", xml.encode())
    if not service or service.startswith("s3"):  # signature version 2 names no service; S3 is its last user
        xml = f"<Error><Code>InvalidAccessKeyId</Code><Message>{escape(text)}</Message></Error>"
        return _reply("403 Forbidden", "application/xml", f'<?xml version="1.0"?>{xml}'.encode())
    header = ("x-amzn-errortype", "UnrecognizedClientException")
    return _reply("403 Forbidden", "application/json", json.dumps({"message": text}).encode(), header)


def _is_query(environ: Mapping[str, Any]) -> bool:
    return "form-urlencoded" in environ.get("CONTENT_TYPE", "") or "Action=" in environ.get("QUERY_STRING", "")


def _reply(status: str, content_type: str, body: bytes, *headers: tuple[str, str]) -> Reply:
    return status, [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers], body


def _cbor_text(text: str) -> bytes:
    """A text string of RFC 8949, major type 3, with a length of two bytes."""
    encoded = text.encode("utf-8", "replace")[:65_535]
    return b"\x79" + len(encoded).to_bytes(2, "big") + encoded
