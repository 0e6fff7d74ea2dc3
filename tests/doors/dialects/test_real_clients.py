"""The clients that people have, unchanged, against an endpoint of the local AWS: a bundle's own process behind
InvokeEndpoint on loopback.

Only cohere's needs a hand: it builds https://runtime.sagemaker.<region>.amazonaws.com itself, so its connections, and
nothing else of it, are led to loopback. Haystack speaks plain HTTP and goes to our server's /v1/rerank.
"""

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from rerank_engine.reranker.engine import Reranker
from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.endpoints.runtime import wsgi_invoke
from rerank_local.data.values import VariantSpec

pytestmark = pytest.mark.e2e

QUERY = "how do I scale an endpoint"
DOCUMENTS = ["Target tracking adds instances.", "A cake needs sugar.", "Scale on concurrent requests per model.", ""]
NAME = "clients"
CLOSE = 1e-4


@dataclass
class Endpoint:
    """Where the endpoint is, and what it must answer: the scores of the engine in this process."""

    url: str
    server_url: str
    scores: list[float]

    @property
    def order(self) -> list[int]:
        return sorted(range(len(self.scores)), key=lambda index: -self.scores[index])


@pytest.fixture(scope="module")
def endpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The demo model, served from its bundle."""
    from rerank_bundle.build import build

    folder = tmp_path_factory.mktemp("clients")
    build(tiny_checkpoint, folder / "model.tar.gz", name="rerank-demo")
    fleet = EndpointFleet(lambda url: io.BytesIO((folder / "model.tar.gz").read_bytes()), folder / "logs")

    def app(environ: Any, start_response: Any) -> Any:
        return wsgi_invoke(fleet, environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=WSGIRequestHandler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        fleet.start(
            NAME, [VariantSpec(name="main", model_data_url="s3://models/m.tar.gz", environment={"RERANK_THREADS": "1"})]
        )
        with fleet.route(NAME, None) as (_, container):
            server_url = f"http://127.0.0.1:{container.port}"
        best = Reranker.load(tiny_checkpoint).rerank(QUERY, DOCUMENTS).results
        scores = [one.score for one in sorted(best, key=lambda one: one.index)]
        yield Endpoint(f"http://127.0.0.1:{server.port}", server_url, scores)
    finally:
        server.shutdown()
        fleet.stop_all()


@pytest.fixture(autouse=True)
def aws(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of somebody who uses the local AWS."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "HAYSTACK_TELEMETRY_ENABLED": "False",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


class Loopback(httpx.BaseTransport):
    """Connections to anywhere end at one address on this machine; the request is sent as it is."""

    def __init__(self, url: str) -> None:
        self._to = httpx.URL(url)
        self._transport = httpx.HTTPTransport()
        self.hosts: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.hosts.append(request.url.host)
        request.url = request.url.copy_with(scheme="http", host=self._to.host, port=self._to.port)
        return self._transport.handle_request(request)


def of_cohere(name: str, endpoint: Endpoint) -> tuple[Any, Loopback]:
    """A SageMaker client of cohere's whose connections go to the endpoint."""
    client = getattr(pytest.importorskip("cohere"), name)(aws_region="us-east-1")
    transport = Loopback(endpoint.url)
    client._client_wrapper.httpx_client.httpx_client._transport = transport
    return client, transport


@pytest.mark.parametrize("name", ["SagemakerClient", "SagemakerClientV2"])
def test_cohere(endpoint: Endpoint, name: str) -> None:
    """Both versions of cohere's client rank as the engine does, and take the answer for a Cohere answer."""
    client, transport = of_cohere(name, endpoint)

    answer = client.rerank(model=NAME, query=QUERY, documents=DOCUMENTS, top_n=3)

    assert endpoint.order[:3] == [result.index for result in answer.results]
    expected = [endpoint.scores[index] for index in endpoint.order[:3]]
    assert expected == pytest.approx([result.relevance_score for result in answer.results], abs=CLOSE)
    assert ["runtime.sagemaker.us-east-1.amazonaws.com"] == transport.hosts
    assert answer.id


def test_cohere_v1_returns_documents(endpoint: Endpoint) -> None:
    """Objects ranked by some of their fields come back as objects."""
    client, _ = of_cohere("SagemakerClient", endpoint)
    documents = [{"title": text, "text": "x"} for text in DOCUMENTS[:2]]

    answer = client.rerank(model=NAME, query=QUERY, documents=documents, rank_fields=["title"], return_documents=True)

    assert {DOCUMENTS[0], DOCUMENTS[1]} == {result.document.title for result in answer.results}


@pytest.mark.parametrize("name", ["SagemakerClient", "SagemakerClientV2"])
def test_cohere_raises_its_own_errors(endpoint: Endpoint, name: str) -> None:
    """SageMaker hands a fault of the caller over as a 424; the client can read it, and says what the container said."""
    cohere = pytest.importorskip("cohere")
    client, _ = of_cohere(name, endpoint)

    with pytest.raises(cohere.core.ApiError) as caught:
        client.rerank(model=NAME, query=QUERY, documents=[], request_options={"max_retries": 0})

    assert 424 == caught.value.status_code
    original = json.loads(caught.value.body["OriginalMessage"])
    assert "'documents' must hold at least one document." == original["message"]


def test_langchain(endpoint: Endpoint) -> None:
    """Scores in the order of the pairs; a fault is its ValueError with our reason."""
    module = pytest.importorskip("langchain_community.cross_encoders.sagemaker_endpoint")
    encoder = module.SagemakerEndpointCrossEncoder(endpoint_name=NAME, region_name="us-east-1")

    scores = encoder.score([(QUERY, document) for document in DOCUMENTS])

    assert endpoint.scores == pytest.approx(scores, abs=CLOSE)
    with pytest.raises(ValueError, match="must be a list of"):
        encoder.score([])


def test_haystack(endpoint: Endpoint) -> None:
    """JinaRanker, pointed at our server, ranks documents and knows the model; a fault is its RuntimeError."""
    ranker_module = pytest.importorskip("haystack_integrations.components.rankers.jina")
    haystack = pytest.importorskip("haystack")
    secret = haystack.utils.Secret.from_token("none")
    documents = [haystack.Document(content=text) for text in DOCUMENTS]

    def ranker(path: str) -> Any:
        return ranker_module.JinaRanker(api_key=secret, base_url=endpoint.server_url + path)

    ranked = ranker("/v1/rerank").run(query=QUERY, documents=documents, top_k=2)

    assert [DOCUMENTS[index] for index in endpoint.order[:2]] == [one.content for one in ranked["documents"]]
    assert "rerank-demo" == ranked["meta"]["model"]
    with pytest.raises(RuntimeError, match="There is no"):
        ranker("/v9/rerank").run(query=QUERY, documents=documents)


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        ({"query": QUERY, "documents": DOCUMENTS}, lambda body: [one["index"] for one in body["results"]]),
        ({"query": QUERY, "texts": DOCUMENTS}, lambda body: [one["index"] for one in body]),
        ({"query": QUERY, "input": DOCUMENTS}, lambda body: [one["index"] for one in body["rerank"]]),
        ({"rerank": {"query": QUERY, "documents": DOCUMENTS}}, lambda body: [one["index"] for one in body["results"]]),
        (
            {"data": {"query": QUERY, "documents": DOCUMENTS}},
            lambda body: [one["index"] for one in body["data"][0]["results"]],
        ),
    ],
)
def test_boto3(endpoint: Endpoint, payload: dict[str, Any], read: Any) -> None:
    """Plain boto3: the format is told by the body alone, and the tokens come in the custom attributes."""
    client = boto3.client("sagemaker-runtime")

    answer = client.invoke_endpoint(
        EndpointName=NAME, ContentType="application/json", CustomAttributes="trace=7", Body=json.dumps(payload)
    )

    assert endpoint.order == read(json.load(answer["Body"]))
    told = dict(part.split("=") for part in answer["CustomAttributes"].split(";"))
    assert ("7", "4") == (told["trace"], told["pairs"])
    assert float(told["forward_ms"]) > 0
