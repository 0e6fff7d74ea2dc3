"""Every model family on the local AWS: packaged, served behind an endpoint, batch-transformed, evaluated."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Road

from rerank_bundle.build import build
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings
from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.sample import requests, text
from rerank_ops.comparison.shapes import SHAPES

pytestmark = pytest.mark.e2e

SMALL = {"hidden_size": 48, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 4000}
FAMILIES = {
    "tiny": "jina_bert",
    "turbo": "jina_bert",
    "base": "jina_bert",
    "ms-marco-MiniLM-L-6-v2": "bert",
    "bge-reranker-base": "xlm_roberta",
    "mxbai-rerank-base-v1": "deberta_v2",
}
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:cpu"
INSTANCE = "ml.c7i.xlarge"
BUCKET = "families"
JSON_LINES = "application/jsonlines"
PATIENCE = {"Delay": 1, "MaxAttempts": 240}


@dataclass
class Model:
    """A model of the local AWS, and the checkpoint it was packaged from."""

    name: str
    family: str
    engine: Reranker
    aws: Any
    checkpoint: Path

    def expected(self, query: str, documents: list[str]) -> dict[int, float]:
        return {found.index: found.score for found in self.engine.rerank(query, documents).results}


@pytest.fixture(scope="module")
def bucket(road: Road) -> Iterator[Any]:
    """A bucket for bundles, inputs and outputs; gone afterwards."""
    s3 = road.aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    yield s3
    for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=item["Key"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, road: Road, bucket: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The shape with random weights, packaged, uploaded, behind an endpoint; nothing is left afterwards."""
    shape, folder = request.param, tmp_path_factory.mktemp("family")
    small = replace(SHAPES[shape], config=SHAPES[shape].config | SMALL | {"pooler_hidden_size": 48})
    checkpoint = make_random_checkpoint(folder / "checkpoint", f"small {shape}", small, text())
    bundle = build(checkpoint, folder / "model.tar.gz")
    bucket.upload_file(str(bundle.path), BUCKET, f"{shape}.tar.gz")
    sagemaker, name = road.aws.client("sagemaker"), f"family-{shape}"
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{BUCKET}/{shape}.tar.gz",
        "Environment": {"RERANK_THREADS": "1"},
    }
    variant = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": INSTANCE}
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn="arn:aws:iam::123456789012:role/any", PrimaryContainer=container
    )
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=PATIENCE)
    engine = Reranker.load(checkpoint, Settings(device="cpu", threads=1))
    yield Model(name, FAMILIES[shape], engine, road.aws, checkpoint)
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)


def test_an_endpoint_serves_the_family(model: Model) -> None:
    """Through the bundle, its own process and boto3, the scores are the engine's."""
    [(query, documents)] = requests(1, 5)
    body = json.dumps({"query": query, "documents": documents})

    answer = model.aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=model.name, ContentType="application/json", Body=body
    )

    found = {r["index"]: r["relevance_score"] for r in json.loads(answer["Body"].read())["results"]}
    assert model.family == model.engine.family
    assert model.expected(query, documents) == pytest.approx(found, abs=1e-5)
    assert 5 == len({round(score, 6) for score in found.values()})


def test_a_batch_job_reranks_with_the_family(model: Model, bucket: Any) -> None:
    """A line of output per line of input, with the engine's scores."""
    asked = requests(3, 4)
    lines = [
        json.dumps({"id": n, "query": query, "documents": documents}) for n, (query, documents) in enumerate(asked)
    ]
    bucket.put_object(Bucket=BUCKET, Key=f"in/{model.name}/a.jsonl", Body="\n".join(lines).encode())
    sagemaker = model.aws.client("sagemaker")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/{model.name}/"}

    sagemaker.create_transform_job(
        TransformJobName=model.name,
        ModelName=model.name,
        BatchStrategy="MultiRecord",
        TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": JSON_LINES, "SplitType": "Line"},
        TransformOutput={
            "S3OutputPath": f"s3://{BUCKET}/out/{model.name}",
            "Accept": JSON_LINES,
            "AssembleWith": "Line",
        },
        TransformResources={"InstanceType": INSTANCE, "InstanceCount": 1},
    )
    sagemaker.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName=model.name, WaiterConfig=PATIENCE)

    written = bucket.get_object(Bucket=BUCKET, Key=f"out/{model.name}/a.jsonl.out")["Body"].read().decode()
    answers = [json.loads(line) for line in written.splitlines()]
    assert [0, 1, 2] == [answer["id"] for answer in answers]
    for (query, documents), answer in zip(asked, answers, strict=True):
        found = {r["index"]: r["relevance_score"] for r in answer["results"]}
        assert model.expected(query, documents) == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize("model", ["ms-marco-MiniLM-L-6-v2"], indirect=True)  # the wire is the same for all
def test_an_endpoint_is_evaluated_like_its_checkpoint(model: Model, rerank: Callable[..., Any], tmp_path: Path) -> None:
    """`rerank evaluate --local` finds the same ranking behind the endpoint's name as in the checkpoint's folder."""
    folder = collection(tmp_path / "toy")
    names = ["--against", str(model.checkpoint), "--model", f"endpoint:{model.name}"]

    code, out, said = rerank("evaluate", str(folder), *names, "--local", "--json")

    assert code == 0, said
    checkpoint, endpoint = json.loads(out)["collections"]["toy"]
    assert f"endpoint:{model.name}" == endpoint["model"]
    assert checkpoint["per_query"]["nDCG@10"] == endpoint["per_query"]["nDCG@10"]
    assert endpoint["latency_ms"]["median"] > 0


def collection(folder: Path) -> Path:
    """The sample's passages as a collection: each query is relevant to the first of its own."""
    asked = requests(4, 5)
    (folder / "qrels").mkdir(parents=True)
    documents = [(f"d{q}-{n}", passage) for q, (_, passages) in enumerate(asked) for n, passage in enumerate(passages)]
    for name, rows in {
        "corpus": documents,
        "queries": [(f"q{q}", query) for q, (query, _) in enumerate(asked)],
    }.items():
        lines = [json.dumps({"_id": key, "text": body}) for key, body in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    rows = [f"q{q}\td{q}-0\t1" for q in range(len(asked))]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n")
    return folder
