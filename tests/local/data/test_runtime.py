"""InvokeEndpoint through boto3: limits, headers and error shapes of sagemaker-runtime, over a real process."""

import json
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from werkzeug.serving import WSGIRequestHandler, make_server

from rerank_local.data.endpoints import runtime
from rerank_local.data.endpoints.fleet import EndpointFleet

LIMIT = 6_291_456


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any, **kwargs: Any) -> None:
        pass


@pytest.fixture
def client(fleet: EndpointFleet, models: Any) -> Iterator[Any]:
    """boto3's sagemaker-runtime, pointed at a server whose endpoint `e` runs the fake container."""
    fleet.start("e", [models.variant()])

    def app(environ: Any, start_response: Any) -> Any:
        return runtime.wsgi_invoke(fleet, environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 0}),
    )
    server.shutdown()
    thread.join(10)


def refused(client: Any, **request: Any) -> dict[str, Any]:
    """The parsed error of an invocation."""
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(**{"EndpointName": "e", "Body": b"x", **request})
    return dict(caught.value.response)


def test_an_answer_carries_body_type_variant_and_attributes(client: Any) -> None:
    """Success as boto3 parses it; custom attributes come back only if the container sets them."""
    answer = client.invoke_endpoint(EndpointName="e", Body=b"abc")
    echoed = client.invoke_endpoint(EndpointName="e", Body=b"attributes:trace=7")

    assert {"name": "main", "length": 3} == json.loads(answer["Body"].read())
    assert ("application/json", "main") == (answer["ContentType"], answer["InvokedProductionVariant"])
    assert (None, "trace=7") == (answer.get("CustomAttributes"), echoed["CustomAttributes"])
    assert answer["ResponseMetadata"]["RequestId"]


def test_only_the_headers_of_the_api_reach_the_container(client: Any) -> None:
    """Content type, accept, custom attributes and inference id pass; credentials and everything else do not."""
    answer = client.invoke_endpoint(
        EndpointName="e",
        Body=b"headers",
        ContentType="application/json; charset=utf-8",
        Accept="application/jsonlines",
        CustomAttributes="a=1",
        InferenceId="id-1",
        TargetVariant="main",
    )

    assert {
        "Content-Type": "application/json; charset=utf-8",
        "Accept": "application/jsonlines",
        "X-Amzn-SageMaker-Custom-Attributes": "a=1",
        "X-Amzn-SageMaker-Inference-Id": "id-1",
    } == {
        name: value
        for name, value in json.loads(answer["Body"].read()).items()
        if name not in {"Host", "Accept-Encoding", "Content-Length"}
    }


@pytest.mark.parametrize(("status", "side"), [(400, "client"), (422, "client"), (500, "server"), (503, "server")])
def test_an_error_of_the_container_is_a_model_error(client: Any, status: int, side: str) -> None:
    """HTTP 424 with the original status and body, and AWS's sentence around them."""
    error = refused(client, Body=f"status:{status}".encode())

    assert 424 == error["ResponseMetadata"]["HTTPStatusCode"]
    assert "ModelError" == error["Error"]["Code"]
    assert (status, '{"error": "no"}') == (error["OriginalStatusCode"], error["OriginalMessage"])
    assert "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/e" == error["LogStreamArn"]
    assert (
        f'Received {side} error ({status}) from primary with message "{{"error": "no"}}". See https://us-east-1.console.'
        "aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:group=/aws/sagemaker/Endpoints/e in account "
        "123456789012 for more information."
    ) == error["Error"]["Message"]


def test_a_model_error_is_the_clients_own_exception(client: Any) -> None:
    """`except client.exceptions.ModelError` works, and the message is cut at 2048 characters."""
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="e", Body=b"status:418")

    assert 2048 == len(caught.value.response["OriginalMessage"])


def test_the_body_may_have_exactly_six_mebibytes(client: Any) -> None:
    """6,291,456 bytes pass; one more is refused with both numbers, and the connection survives it."""
    answer = client.invoke_endpoint(EndpointName="e", Body=b"x" * LIMIT)
    error = refused(client, Body=b"x" * (LIMIT + 1))

    assert LIMIT == json.loads(answer["Body"].read())["length"]
    assert 413 == error["ResponseMetadata"]["HTTPStatusCode"]
    assert "HTTP content length exceeded 6291456 bytes: the request has 6291457 bytes." == error["Error"]["Message"]
    assert client.invoke_endpoint(EndpointName="e", Body=b"x")


def test_a_response_may_have_exactly_six_mebibytes(client: Any) -> None:
    """One byte more is a ModelError that could not load the response."""
    answer = client.invoke_endpoint(EndpointName="e", Body=f"big:{LIMIT}".encode())
    error = refused(client, Body=f"big:{LIMIT + 1}".encode())

    assert LIMIT == len(answer["Body"].read())
    assert ("ModelError", 500) == (error["Error"]["Code"], error["OriginalStatusCode"])
    assert "could not load the entire response body" in error["Error"]["Message"]
    assert "6,291,457" in error["OriginalMessage"]


def test_an_answer_that_breaks_off_is_a_model_error(client: Any) -> None:
    """A body shorter than announced is not passed on."""
    error = refused(client, Body=b"cut")

    assert 500 == error["OriginalStatusCode"]
    assert "broke off 95 bytes before its end" in error["OriginalMessage"]


def test_no_answer_in_time_is_a_model_error_of_status_0(client: Any, fleet: EndpointFleet) -> None:
    """SageMaker's 60 s, shortened here, with SageMaker's sentence."""
    fleet.invocation_timeout_s = 0.2
    error = refused(client, Body=b"slow:3")

    assert ("ModelError", 0) == (error["Error"]["Code"], error["OriginalStatusCode"])
    assert "Your invocation timed out while waiting for a response from container primary" in error["Error"]["Message"]


def test_a_process_that_dies_on_a_request_is_a_model_error_503(client: Any) -> None:
    """The caller learns that the container is gone, as a server error."""
    error = refused(client, Body=b"die")

    assert ("ModelError", 503) == (error["Error"]["Code"], error["OriginalStatusCode"])


def test_an_unknown_endpoint_is_a_validation_error(client: Any) -> None:
    """In AWS's words, which callers match on."""
    error = refused(client, EndpointName="nobody")

    assert 400 == error["ResponseMetadata"]["HTTPStatusCode"]
    assert {"Code": "ValidationError", "Message": "Endpoint nobody of account 123456789012 not found."} == error[
        "Error"
    ]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"TargetVariant": "other"}, "no variant other; it has main"),
        ({"CustomAttributes": "a" * 1025}, "'1025 characters' at 'customAttributes'"),
        ({"InferenceId": "i" * 65}, "at 'inferenceId'"),
        ({"EndpointName": "-bad-"}, "at 'endpointName'"),
        ({"TargetModel": "m.tar.gz"}, "TargetModel is not offered"),
        ({"TargetContainerHostname": "c"}, "TargetContainerHostname is not offered"),
        ({"InferenceComponentName": "c"}, "InferenceComponentName is not offered"),
        ({"SessionId": "NEW_SESSION"}, "SessionId is not offered"),
        ({"EnableExplanations": "`true`"}, "EnableExplanations is not offered"),
    ],
)
def test_what_cannot_be_done_is_refused(client: Any, request_: dict[str, Any], message: str) -> None:
    """Limits of the API, and features without a local counterpart, are ValidationErrors that say so."""
    error = refused(client, **request_)

    assert "ValidationError" == error["Error"]["Code"]
    assert message in error["Error"]["Message"]


def test_attributes_of_the_container_are_checked_too(client: Any) -> None:
    """More than 1024 characters from the model are its error, not passed on."""
    error = refused(client, Body=b"attributes:" + b"a" * 1025)

    assert ("ModelError", 500) == (error["Error"]["Code"], error["OriginalStatusCode"])
    assert "customAttributes" in error["OriginalMessage"]


def test_streaming_and_async_invocations_are_refused(client: Any) -> None:
    """They say that they are not offered, instead of doing something else."""
    with pytest.raises(ClientError, match="InvokeEndpointWithResponseStream is not offered"):
        client.invoke_endpoint_with_response_stream(EndpointName="e", Body=b"x")
    with pytest.raises(ClientError, match="InvokeEndpointAsync is not offered"):
        client.invoke_endpoint_async(EndpointName="e", InputLocation="s3://b/k")


@pytest.mark.parametrize("models", [3600.0], indirect=True, ids=["no health check meanwhile"])
def test_connections_to_the_process_are_reused(client: Any, fleet: EndpointFleet) -> None:
    """Many calls, one connection; one that the server has closed meanwhile is replaced unseen."""
    for _ in range(5):
        client.invoke_endpoint(EndpointName="e", Body=b"x")
    with fleet.route("e") as (_, container):
        pool = container._process.pool
        (connection,) = pool._idle
        connection.sock.shutdown(2)

    assert client.invoke_endpoint(EndpointName="e", Body=b"x")
    assert 1 == len(pool._idle)
    assert connection is not pool._idle[0]


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/endpoints/e/invocations", True),
        ("/endpoints/e/async-invocations", True),
        ("/endpoints/e/invocations-response-stream", True),
        ("/endpoints/e", False),
        ("/", False),
        ("/endpoints/a/b/invocations", False),
    ],
)
def test_the_paths_of_the_service_are_recognised(path: str, ours: bool) -> None:
    """Everything else belongs to the control plane."""
    assert ours == runtime.is_runtime_path(path)


@pytest.mark.parametrize("size", [0, 10, LIMIT + 1])
def test_a_body_without_announced_length_is_read_to_its_end(fleet: EndpointFleet, size: int) -> None:
    """Chunked requests are taken, and refused by size too."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/endpoints/nobody/invocations",
        "wsgi.input": BytesIO(b"x" * size),
        "wsgi.input_terminated": True,
    }
    runtime.wsgi_invoke(fleet, environ, lambda status, headers: statuses.append(status))

    assert ["413 Request Entity Too Large" if size > LIMIT else "400 Bad Request"] == statuses
