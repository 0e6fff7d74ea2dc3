"""The real thing: a bundle built from the demo checkpoint, served and batch-transformed by the local data plane."""

import gzip
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws
from werkzeug.serving import WSGIRequestHandler, make_server

from rerank_local.data.endpoints import runtime
from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.transform.jobs import TransformJobs
from rerank_local.data.values import ModelSpec, VariantSpec

pytestmark = pytest.mark.e2e

URL = "s3://models/demo.tar.gz"
ENVIRONMENT = {"RERANK_THREADS": "1"}
QUERY = "how do I scale an endpoint"
DOCUMENTS = ["Target tracking adds instances.", "A cake needs sugar.", "Scale on concurrent requests per model.", ""]


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.tar.gz of the demo checkpoint."""
    from rerank_bundle.build import build

    path = tmp_path_factory.mktemp("bundle") / "model.tar.gz"
    build(tiny_checkpoint, path)
    return path


@pytest.fixture
def client(bundle: Path, tmp_path: Path) -> Iterator[Any]:
    """boto3's sagemaker-runtime over a fleet that serves the bundle as endpoint `demo`."""
    fleet = EndpointFleet(lambda url: io.BytesIO(bundle.read_bytes()), tmp_path)

    def app(environ: Any, start_response: Any) -> Any:
        return runtime.wsgi_invoke(fleet, environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=WSGIRequestHandler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    fleet.start("demo", [VariantSpec(name="main", model_data_url=URL, environment=ENVIRONMENT)])
    yield boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 0}),
    )
    server.shutdown()
    fleet.stop_all()


def test_an_endpoint_answers_what_the_engine_scores(client: Any, tiny_checkpoint: Path) -> None:
    """Through boto3, router and process the scores are those of `Reranker` in this process."""
    from rerank_engine.reranker.engine import Reranker

    body = json.dumps({"query": QUERY, "documents": DOCUMENTS}).encode()
    answer = client.invoke_endpoint(
        EndpointName="demo", Body=body, ContentType="application/json", CustomAttributes="trace=1"
    )
    served = {item["index"]: item["relevance_score"] for item in json.loads(answer["Body"].read())["results"]}
    scored = {item.index: item.score for item in Reranker.load(tiny_checkpoint).rerank(QUERY, DOCUMENTS).results}

    assert pytest.approx(scored, abs=1e-6) == served
    assert "application/json" == answer["ContentType"]
    mine, *ours = answer["CustomAttributes"].split(";")
    assert "trace=1" == mine
    assert {"query_tokens", "total_tokens", "forward_ms"} <= {pair.split("=")[0] for pair in ours}


def test_a_bad_request_is_the_callers_model_error(client: Any) -> None:
    """The engine's 4xx and its message arrive as ModelError."""
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="demo", Body=b'{"query": 1}', ContentType="application/json")

    assert 422 == caught.value.response["OriginalStatusCode"]
    assert "documents" in caught.value.response["OriginalMessage"]


def test_a_transform_job_joins_every_record_with_its_result(bundle: Path, tmp_path: Path) -> None:
    """Two compressed files, a poisoned record answered in place: one output line per input line, with its id."""
    lines = [{"id": n, "query": QUERY, "documents": DOCUMENTS[:n]} for n in (1, 2, 3)]
    lines.insert(1, {"id": "poisoned", "query": 7})
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        s3.create_bucket(Bucket="data")
        for key in ("in/a.jsonl.gz", "in/sub/b.jsonl.gz"):
            s3.put_object(Bucket="data", Key=key, Body=gzip.compress(body))
        jobs = TransformJobs(lambda url: io.BytesIO(bundle.read_bytes()), lambda: s3, tmp_path)
        source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}
        jobs.create(
            {
                "TransformJobName": "demo",
                "TransformInput": {
                    "DataSource": {"S3DataSource": source},
                    "ContentType": "application/jsonlines",
                    "SplitType": "Line",
                    "CompressionType": "Gzip",
                },
                "TransformOutput": {
                    "S3OutputPath": "s3://data/out",
                    "Accept": "application/jsonlines",
                    "AssembleWith": "Line",
                },
                "DataProcessing": {"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
            },
            ModelSpec(model_data_url=URL, environment=ENVIRONMENT),
        )
        view = jobs.wait("demo", 120)
        written = [
            s3.get_object(Bucket="data", Key=f"out/{name}.jsonl.gz.out")["Body"].read() for name in ("a", "sub/b")
        ]
        jobs.stop_all()

    joined = [json.loads(line) for line in written[0].splitlines()]
    assert ("Completed", None, 8) == (view.status, view.failure_reason, view.records)
    assert written[0] == written[1]
    assert [1, "poisoned", 2, 3] == [line["id"] for line in joined]
    assert [1, None, 2, 3] == [len(r) if (r := line["SageMakerOutput"].get("results")) else None for line in joined]
    assert 422 == joined[1]["SageMakerOutput"]["status"]


def test_a_transform_job_of_json_loses_no_record(bundle: Path, tmp_path: Path) -> None:
    """Called application/json, a file of lines has a line for each; one that is no lines fails, and its job with it."""
    line = json.dumps({"query": QUERY, "documents": DOCUMENTS}).encode()
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        s3.create_bucket(Bucket="data")
        s3.put_object(Bucket="data", Key="in/lines.json", Body=(line + b"\n") * 100)
        s3.put_object(Bucket="data", Key="in/pretty.json", Body=json.dumps(json.loads(line), indent=2).encode())
        s3.put_object(Bucket="data", Key="in/secret.json", Body=gzip.compress((line + b"\n") * 100))
        jobs = TransformJobs(lambda url: io.BytesIO(bundle.read_bytes()), lambda: s3, tmp_path)
        jobs.create(
            {
                "TransformJobName": "demo",
                "BatchStrategy": "MultiRecord",
                "TransformInput": {
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}},
                    "ContentType": "application/json",
                    "SplitType": "Line",
                },
                "TransformOutput": {"S3OutputPath": "s3://data/out", "AssembleWith": "Line"},
                "ModelClientConfig": {"InvocationsMaxRetries": 0},
            },
            ModelSpec(model_data_url=URL, environment=ENVIRONMENT),
        )
        view = jobs.wait("demo", 120)
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket="data", Prefix="out/")["Contents"]]
        answers = s3.get_object(Bucket="data", Key="out/lines.json.out")["Body"].read().splitlines()
        jobs.stop_all()

    assert ("Failed", 1, 2, ["out/lines.json.out"]) == (view.status, view.files_done, view.files_failed, keys)
    assert [len(DOCUMENTS)] * 100 == [len(json.loads(answer)["results"]) for answer in answers]
