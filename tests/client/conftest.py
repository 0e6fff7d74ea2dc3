"""A sagemaker-runtime client of boto3 whose wire ends in a function of the test."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config


class _Raw(BytesIO):
    def stream(self, *_: object, **__: object) -> Any:
        yield self.getvalue()


@dataclass
class Wire:
    """Answers requests with `answer(body) -> (status, headers, body)` and keeps what was sent."""

    answer: Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: Any, **_: object) -> AWSResponse:
        self.bodies.append(bytes(request.body))
        self.headers.append({k: v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()})
        status, headers, body = self.answer(json.loads(request.body))
        return AWSResponse(request.url, status, headers, _Raw(body))


@pytest.fixture
def runtime() -> Callable[[Wire], Any]:
    def build(wire: Wire) -> Any:
        client = boto3.client(
            "sagemaker-runtime",
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.sagemaker-runtime.InvokeEndpoint", wire)
        return client

    return build


def scored(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """A container that scores a document by its length, as Jina's format says it."""
    texts = [document if isinstance(document, str) else document["text"] for document in body["documents"]]
    ranked = sorted(range(len(texts)), key=lambda i: (-score(texts[i]), i))[: body.get("top_n")]
    results = [{"index": i, "relevance_score": score(texts[i])} for i in ranked]
    answer = {"model": "by-length", "object": "list", "usage": {"total_tokens": len(texts)}, "results": results}
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def score(text: str) -> float:
    return round(len(text) / (1 + len(text)), 8)


def model_error(status: int, message: str) -> tuple[int, dict[str, str], bytes]:
    """The container's 4xx or 5xx as SageMaker passes it on."""
    body = {
        "Message": f'Received error ({status}) from main with message "{message}".',
        "OriginalStatusCode": status,
        "OriginalMessage": message,
        "LogStreamArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/rerank",
    }
    headers = {"x-amzn-errortype": "ModelError", "Content-Type": "application/json"}
    return 424, headers, json.dumps(body).encode()


def platform_error(http: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """An error of SageMaker's own front end."""
    headers = {"x-amzn-errortype": code, "Content-Type": "application/json"}
    return http, headers, json.dumps({"Message": message, "message": message}).encode()
