"""AWS's toolkit seen from the handler: a context with AWS's methods, and a model that fails to load."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rerank_engine.handler import Handler, load, share_cores
from rerank_engine.hosting import Hosting
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings

GOOD = '{"query": "q", "documents": ["a"]}'


class Context:
    """The part of mms.context.Context that a handler may use."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self.status: tuple[int, str] | None = None
        self.sent: dict[str, str] = {}
        self._headers = headers

    def get_all_request_header(self, idx: int) -> dict[str, str] | None:
        return self._headers

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self.status = (code, phrase)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.sent[key] = value


def test_status_and_attributes_go_through_the_context(make_service: Callable[..., Service]) -> None:
    """The status, its phrase and the echoed attributes are set on the context, in whatever case they came."""
    context = Context({"x-amzn-sagemaker-custom-attributes": "t=1", "Content-Type": "application/json"})

    body = Handler(make_service()).answer("{", "application/json", "application/json", context)

    assert (400, "Bad Request") == context.status
    assert {"X-Amzn-SageMaker-Custom-Attributes": "t=1"} == context.sent
    assert "malformed_body" == json.loads(body)["detail"]["code"]


@pytest.mark.parametrize("data", [GOOD, GOOD.encode(), bytearray(GOOD.encode())])
def test_answers_without_a_context(make_service: Callable[..., Service], data: bytes | bytearray | str) -> None:
    """Older toolkits hand over no context; the body is right all the same."""
    body = Handler(make_service()).answer(data, "application/json", None)

    assert 0 == json.loads(body)["results"][0]["index"]


def test_a_request_without_a_body_is_answered(make_service: Callable[..., Service]) -> None:
    """The toolkit hands over None for form data."""
    context = Context()

    Handler(make_service()).answer(None, "multipart/form-data; boundary=x", None, context)

    assert (415, "Unsupported Media Type") == context.status


def test_a_model_that_failed_to_load_is_remembered(tmp_path: Path) -> None:
    """Loading never raises; each request is then a 503 that says why."""
    handler = load(str(tmp_path), {})
    context = Context({"X-Amzn-SageMaker-Custom-Attributes": "t=1"})

    body = handler.answer(GOOD, "application/json", "application/json", context)

    detail = json.loads(body)["detail"]
    assert (503, "Service Unavailable") == context.status
    assert {"Retry-After": "1", "X-Amzn-SageMaker-Custom-Attributes": "t=1"} == context.sent
    assert "model_not_loaded" == detail["code"]
    assert "config.json" in detail["message"]


def test_wrong_settings_are_remembered_too(tmp_path: Path) -> None:
    """A misspelt variable of the deployment shows in the answers, not in a crash loop."""
    handler = load(str(tmp_path), {"RERANK_TOKEN_BUDGE": "5"})

    body = handler.answer(GOOD, "application/json", None)

    assert "RERANK_TOKEN_BUDGE is not a setting" in json.loads(body)["detail"]["message"]


@pytest.mark.parametrize(
    ("threads", "workers", "cores", "expected"),
    [(0, None, 8, 1), (0, 1, 8, 8), (0, 2, 8, 4), (0, 16, 8, 1), (3, 1, 8, 3)],
)
def test_processes_share_the_cores(threads: int, workers: int | None, cores: int, expected: int) -> None:
    """Each of the toolkit's processes takes its share of the cores, unless the threads are set."""
    settings = share_cores(Settings(threads=threads), Hosting(workers=workers), cores)

    assert expected == settings.threads
