"""The client against boto3 itself, the wire answered by a function."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.client.conftest import Wire, model_error, platform_error, score, scored

from rerank_client import (
    BadResponse,
    EndpointFailed,
    EndpointNotFound,
    InvalidCall,
    RankedDocument,
    RequestRejected,
    RerankClient,
)

Runtime = Callable[[Wire], Any]


def test_results_come_best_first_with_ties_in_the_callers_order(runtime: Runtime) -> None:
    """One request, one ranked answer, usage and model passed on."""
    answer = RerankClient("e", client=runtime(Wire(scored))).rerank("q", ["bb", "a", "cc", "dddd"])

    assert [3, 0, 2, 1] == [result.index for result in answer.results]
    assert ("by-length", 4, 1) == (answer.model, answer.total_tokens, answer.requests)
    assert RankedDocument(3, score("dddd")) == answer.results[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=40),
    st.none() | st.integers(1, 50),
    st.integers(1, 7),
)
def test_splitting_changes_nothing(
    runtime: Runtime, documents: list[str], top_n: int | None, max_documents: int
) -> None:
    """In however many requests a call goes out, the ranking is that of one request."""
    whole = RerankClient("e", client=runtime(Wire(scored))).rerank("q", documents, top_n, return_documents=True)
    client = RerankClient("e", client=runtime(Wire(scored)), max_documents_per_request=max_documents)
    split = client.rerank("q", documents, top_n, return_documents=True)

    assert whole.results == split.results
    assert -(-len(documents) // max_documents) == split.requests
    assert whole.total_tokens == split.total_tokens


def test_documents_are_attached_here_and_never_travel_back(runtime: Runtime) -> None:
    """return_documents hands back the caller's very objects; the request says false."""
    wire = Wire(scored)
    documents = [{"text": "short", "id": 1}, {"text": "much longer", "id": 2}]
    answer = RerankClient("e", client=runtime(wire)).rerank("q", documents, top_n=1, return_documents=True)

    assert documents[1] is answer.results[0].document
    assert {"query": "q", "documents": ["short", "much longer"], "return_documents": False, "top_n": 1} == json.loads(
        wire.bodies[0]
    )


def test_routing_and_attributes_become_headers(runtime: Runtime) -> None:
    """Inference component, target variant and custom attributes reach SageMaker; answers' attributes come back."""

    def echoing(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        status, headers, answer = scored(body)
        return status, headers | {"X-Amzn-SageMaker-Custom-Attributes": "t=1"}, answer

    wire = Wire(echoing)
    client = RerankClient("e", client=runtime(wire), inference_component="ic", target_variant="main")
    answer = client.rerank("q", ["a"], custom_attributes="trace=7", max_tokens_per_document=64, truncate=False)

    assert ("ic", "main", "trace=7") == tuple(
        wire.headers[0][f"X-Amzn-SageMaker-{name}"]
        for name in ("Inference-Component", "Target-Variant", "Custom-Attributes")
    )
    assert ("t=1",) == answer.custom_attributes
    assert (64, False) == tuple(json.loads(wire.bodies[0])[key] for key in ("max_doc_length", "truncate"))


def test_no_documents_need_no_request(runtime: Runtime) -> None:
    """An empty candidate list has an empty ranking."""
    wire = Wire(scored)

    assert () == RerankClient("e", client=runtime(wire)).rerank("q", []).results
    assert [] == wire.bodies


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
def test_passing_container_errors_are_tried_again_with_jitter(runtime: Runtime, status: int) -> None:
    """Overload passes: the third attempt's answer is the call's answer."""
    failures, waits = iter([model_error(status, "busy"), model_error(status, "busy")]), []
    wire = Wire(lambda body: next(failures, None) or scored(body))
    client = RerankClient("e", client=runtime(wire), sleep=waits.append, backoff_base_s=0.2)
    answer = client.rerank("q", ["a"])

    assert 1 == len(answer.results)
    assert 3 == len(wire.bodies)
    assert [True, True] == [0 <= wait <= 0.2 * 2**n for n, wait in enumerate(waits)]


@pytest.mark.parametrize(
    ("http", "code"),
    [
        (429, "ModelNotReadyException"),
        (400, "ThrottlingException"),
        (503, "ServiceUnavailable"),
        (500, "InternalFailure"),
        (530, "InternalDependencyException"),
    ],
)
def test_passing_platform_errors_are_tried_again(runtime: Runtime, http: int, code: str) -> None:
    """SageMaker's own hiccups pass too."""
    failures = iter([platform_error(http, code, "later")])
    wire = Wire(lambda body: next(failures, None) or scored(body))

    assert 1 == len(RerankClient("e", client=runtime(wire), sleep=lambda _: None).rerank("q", ["a"]).results)
    assert 2 == len(wire.bodies)


def test_a_rejected_request_tells_the_containers_words_and_is_not_repeated(runtime: Runtime) -> None:
    """OriginalMessage is unwrapped: status, code, request id and the wrong fields."""
    detail = {
        "detail": "Validation error: 'top_n'",
        "request_id": "ab" * 16,
        "errors": [{"field": "body -> top_n", "message": "at least 1", "type": "value", "input": 0}],
    }
    wire = Wire(lambda _: model_error(422, json.dumps(detail)))
    with pytest.raises(RequestRejected, match="Validation error: 'top_n'") as caught:
        RerankClient("e", client=runtime(wire)).rerank("q", ["a"])

    assert (422, "ab" * 16) == (caught.value.status, caught.value.request_id)
    assert (("body -> top_n", "at least 1"),) == caught.value.fields
    assert 1 == len(wire.bodies)


def test_jinas_nested_detail_is_unwrapped(runtime: Runtime) -> None:
    """400 and 413 carry message and code one level down."""
    body = json.dumps({"detail": {"message": "Too large.", "request_id": "r", "code": "payload_too_large"}})
    with pytest.raises(RequestRejected, match=r"^Too large\.$") as caught:
        RerankClient("e", client=runtime(Wire(lambda _: model_error(413, body)))).rerank("q", ["a"])

    assert (413, "payload_too_large") == (caught.value.status, caught.value.code)


def test_a_truncated_original_message_is_shown_as_it_is(runtime: Runtime) -> None:
    """SageMaker cuts OriginalMessage at 2,048 characters: half a JSON body is still text."""
    with pytest.raises(RequestRejected, match="Validation err"):
        RerankClient("e", client=runtime(Wire(lambda _: model_error(422, '{"detail": "Validation err')))).rerank(
            "q", ["a"]
        )


def test_a_container_that_stays_overloaded_fails_after_the_last_attempt(runtime: Runtime) -> None:
    """The error counts the attempts and keeps the status."""
    wire = Wire(lambda _: model_error(503, '{"detail": {"message": "Queue full.", "code": "overloaded"}}'))
    with pytest.raises(EndpointFailed, match=r"answered 503 in each of 3 attempts: Queue full\.") as caught:
        RerankClient("e", client=runtime(wire), max_attempts=3, sleep=lambda _: None).rerank("q", ["a"])

    assert (503, "overloaded", 3) == (caught.value.status, caught.value.code, caught.value.attempts)
    assert 3 == len(wire.bodies)


def test_a_fault_of_the_model_is_not_repeated(runtime: Runtime) -> None:
    """A 500 would come back: one attempt."""
    wire = Wire(lambda _: model_error(500, '{"detail": {"message": "NaN", "code": "not_finite"}}'))
    with pytest.raises(EndpointFailed, match="answered 500: NaN"):
        RerankClient("e", client=runtime(wire)).rerank("q", ["a"])

    assert 1 == len(wire.bodies)


def test_an_unknown_endpoint_is_named(runtime: Runtime) -> None:
    """SageMaker says ValidationError; the client says which name."""
    wire = Wire(lambda _: platform_error(400, "ValidationError", "Endpoint e of account 1 not found."))
    with pytest.raises(EndpointNotFound, match="'e'"):
        RerankClient("e", client=runtime(wire)).rerank("q", ["a"])


def test_denied_permissions_pass_through_as_botos_own_error(runtime: Runtime) -> None:
    """What boto3 says best stays boto3's."""
    with pytest.raises(ClientError, match="AccessDenied"):
        RerankClient("e", client=runtime(Wire(lambda _: platform_error(403, "AccessDenied", "no")))).rerank("q", ["a"])


def test_an_unreachable_endpoint_is_tried_again_and_then_reported() -> None:
    """Nobody listens on port 9: each attempt fails to connect."""
    import boto3
    from botocore.config import Config

    runtime = boto3.client(
        "sagemaker-runtime",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(EndpointFailed, match="EndpointConnectionError in each of 2 attempts"):
        RerankClient("e", client=runtime, max_attempts=2, sleep=lambda _: None).rerank("q", ["a"])


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"results": [{"index": 0}]}',
        b'{"results": [{"index": 5, "relevance_score": 0.1}]}',
        b'{"results": [{"index": 0, "relevance_score": 0.1}, {"index": 0, "relevance_score": 0.1}]}',
        b'{"results": [{"index": 0, "relevance_score": NaN}]}',
    ],
)
def test_an_answer_that_is_no_ranking_is_refused(runtime: Runtime, body: bytes) -> None:
    """Wrong shape, invented or repeated indices, NaN: never passed on."""
    with pytest.raises(BadResponse):
        RerankClient("e", client=runtime(Wire(lambda _: (200, {}, body)))).rerank("q", ["a", "b"])


def test_arguments_that_cannot_be_meant_are_refused(runtime: Runtime) -> None:
    """One string for a list, top_n of zero, an unknown dialect."""
    client = RerankClient("e", client=runtime(Wire(scored)))
    with pytest.raises(InvalidCall, match="one string"):
        client.rerank("q", "abc")
    with pytest.raises(InvalidCall, match="top_n is 0"):
        client.rerank("q", ["a"], top_n=0)
    with pytest.raises(InvalidCall, match="'cobol'"):
        RerankClient("e", dialect="cobol")


def test_importing_the_client_does_not_import_boto3() -> None:
    """A program that only handles the client's types does not pay for boto3."""
    code = "import sys, rerank_client; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
