"""The whole road: deploy with the real CDK, invoke, batch transform, update under load, destroy. In this order."""

import gzip
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import DEPLOYMENT, ENDPOINT, Road

from rerank_client import RequestRejected, RerankClient
from rerank_engine.reranker.engine import Reranker
from rerank_local.state import STATUS_PATH
from rerank_ops.demo.data import passages, questions
from rerank_ops.transform import jobs, outputs
from rerank_ops.transform.jobs import BatchSetup
from rerank_ops.transform.request import TransformOptions, build_request

pytestmark = pytest.mark.e2e

QUERY = questions()[0].text
DOCUMENTS = [passage.text for passage in passages()]
OLD, NEW = 0, 1  # seeds of the two models


@pytest.fixture(scope="module")
def deployed(road: Road) -> Road:
    """The first model, deployed."""
    road.deploy(OLD)
    return road


def reference(road: Road, seed: int, query: str, documents: Sequence[str]) -> dict[int, float]:
    """What the engine itself says, in this process."""
    result = Reranker.load(road.checkpoint(seed)).rerank(query, list(documents))
    return {document.index: document.score for document in result.results}


def invoke(road: Road, query: str, documents: Sequence[str]) -> dict[int, float]:
    """What the endpoint says, through plain boto3."""
    body = json.dumps({"query": query, "documents": list(documents), "return_documents": False})
    runtime = road.aws.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=body)
    return {r["index"]: r["relevance_score"] for r in json.loads(answer["Body"].read())["results"]}


def test_the_endpoint_scores_what_the_engine_scores(deployed: Road) -> None:
    """Through the tarball, CDK, S3, a process of its own and boto3, a score stays the same to 1e-6."""
    assert reference(deployed, OLD, QUERY, DOCUMENTS) == pytest.approx(invoke(deployed, QUERY, DOCUMENTS), abs=1e-6)


def test_stacks_and_parameters_tell_what_is_there(deployed: Road) -> None:
    """Endpoint in service, scaled by a policy, watched by alarms, found through SSM."""
    aws = deployed.aws
    endpoint = aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    targets = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]

    assert (ENDPOINT, "InService") == (endpoint["EndpointName"], endpoint["EndpointStatus"])
    assert [f"endpoint/{ENDPOINT}/variant/main"] == [target["ResourceId"] for target in targets["ScalableTargets"]]
    assert len(alarms) >= 5


def test_the_client_splits_and_merges_to_the_same_ranking(deployed: Road) -> None:
    """Seven documents a request or all in one: the same order, the same scores."""
    runtime = deployed.aws.client("sagemaker-runtime")
    whole = RerankClient(ENDPOINT, client=runtime).rerank(QUERY, DOCUMENTS, top_n=9)
    split = RerankClient(ENDPOINT, client=runtime, max_documents_per_request=7).rerank(QUERY, DOCUMENTS, top_n=9)

    assert (1, 6) == (whole.requests, split.requests)
    assert [r.index for r in whole.results] == [r.index for r in split.results]
    assert [r.score for r in whole.results] == pytest.approx([r.score for r in split.results], abs=1e-6)


def test_the_containers_refusal_reaches_the_caller(deployed: Road) -> None:
    """ModelError is unwrapped: the status, and the container's own words."""
    client = RerankClient(ENDPOINT, client=deployed.aws.client("sagemaker-runtime"))
    with pytest.raises(RequestRejected, match="at least 1") as caught:
        client.rerank(QUERY, DOCUMENTS, max_tokens_per_document=0)

    assert caught.value.status == 422


def test_invoke_shows_a_ranking(deployed: Road, rerank: Callable[..., Any]) -> None:
    """`rerank invoke` finds the endpoint through SSM and prints JSON for programs."""
    code, out, _ = rerank("invoke", "--local", "--query", QUERY, "--json", "--top-n", "2", *DOCUMENTS[:5])
    results = json.loads(out)["results"]
    expected = sorted(reference(deployed, OLD, QUERY, DOCUMENTS[:5]).items(), key=lambda item: -item[1])[:2]

    assert code == 0
    assert [index for index, _ in expected] == [result["index"] for result in results]
    assert [DOCUMENTS[index] for index, _ in expected] == [result["document"] for result in results]


def test_a_batch_job_answers_every_line_of_every_file(deployed: Road, tmp_path: Path) -> None:
    """Nested keys keep their place, a poisoned line gets its error in place, every other line its scores."""
    setup, s3 = BatchSetup.load(deployed.aws, DEPLOYMENT), deployed.aws.client("s3")
    bucket, _, prefix = f"{setup.input_uri}/several".removeprefix("s3://").partition("/")
    asked = [{"id": q.id, "query": q.text, "documents": DOCUMENTS[:6], "return_documents": False} for q in questions()]
    good = [json.dumps(request) for request in asked]
    poisoned = [good[0], '{"id": "bad", "query": 7, "documents": ["a"]}', "not json at all", good[1]]
    for name, lines in {"a.jsonl": good, "deep/er/b.jsonl": poisoned}.items():
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body="\n".join(lines).encode() + b"\n")
    written = run_job(deployed, "several", f"{setup.input_uri}/several", tmp_path)
    expected = [reference(deployed, OLD, q.text, DOCUMENTS[:6]) for q in questions()]

    assert ["a.jsonl.out", "deep/er/b.jsonl.out"] == sorted(written)
    for wanted, line in zip(expected, written["a.jsonl.out"], strict=True):
        assert wanted == pytest.approx(scores(line), abs=1e-6)
    assert [q.id for q in questions()] == [line["id"] for line in written["a.jsonl.out"]]
    first, bad, garbage, last = written["deep/er/b.jsonl.out"]
    assert expected[0] == pytest.approx(scores(first), abs=1e-6)
    assert expected[1] == pytest.approx(scores(last), abs=1e-6)
    assert ("bad", 422) == (bad["id"], bad["status"])
    assert garbage["status"] == 400
    assert "not JSON" in garbage["error"]


def run_job(road: Road, name: str, input_uri: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Runs a job to its end; the JSON lines of each file it wrote."""
    setup, sagemaker, s3 = BatchSetup.load(road.aws, DEPLOYMENT), road.aws.client("sagemaker"), road.aws.client("s3")
    output_uri = f"{setup.output_uri}/{name}"
    options = TransformOptions(instance_type=setup.instance_type)
    jobs.submit(
        sagemaker,
        build_request(name, model_name=setup.model_name, input_uri=input_uri, output_uri=output_uri, options=options),
    )
    pause = threading.Event()
    job = jobs.follow(
        sagemaker, s3, name, lambda *_: None, objects=2, poll_s=0.2, sleep=lambda seconds: pause.wait(seconds) and None
    )
    assert (job.status, job.failure_reason) == ("Completed", None)
    files = outputs.download(s3, output_uri, folder)
    return {file.name: [json.loads(line) for line in (folder / file.name).read_text().splitlines()] for file in files}


def scores(line: dict[str, Any]) -> dict[int, float]:
    return {result["index"]: result["relevance_score"] for result in line["results"]}


def test_transform_start_uploads_runs_and_fetches(deployed: Road, rerank: Callable[..., Any], tmp_path: Path) -> None:
    """One command from compressed local files to local output, joined to its input by the caller's id."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    request = {"id": "x", "query": QUERY, "documents": DOCUMENTS[:3], "return_documents": False}
    for name in ("one.jsonl.gz", "deep/two.jsonl.gz"):
        (tmp_path / "in" / name).write_bytes(gzip.compress(json.dumps(request).encode() + b"\n"))
    code, out, said = rerank(
        *("transform", "start", str(tmp_path / "in"), "--local", "--fetch", str(tmp_path / "out"), "--json"),
        *("--join", "--output-filter", "$['id','SageMakerOutput']"),
    )
    files = sorted(path for path in (tmp_path / "out").rglob("*.out"))
    lines = [json.loads(path.read_text()) for path in files]

    assert code == 0, said
    assert [1, 1] == [file["records"] for file in json.loads(out)["files"]]
    assert [{"id", "SageMakerOutput"}] * 2 == [set(line) for line in lines]
    wanted = reference(deployed, OLD, QUERY, DOCUMENTS[:3])
    assert all(wanted == pytest.approx(scores(line["SageMakerOutput"]), abs=1e-6) for line in lines)


@dataclass
class Load:
    """What calls met while an update went on."""

    answers: list[dict[int, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def updated(deployed: Road) -> Load:
    """The second model, deployed while calls keep coming."""
    load, stop = Load(), threading.Event()

    def call() -> None:
        while not stop.is_set():
            try:
                load.answers.append(invoke(deployed, QUERY, DOCUMENTS[:4]))
            except Exception as error:
                load.faults.append(repr(error))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        deployed.deploy(NEW)
        load.answers.append(invoke(deployed, QUERY, DOCUMENTS[:4]))
    finally:
        stop.set()
        caller.join()
    return load


def test_an_update_changes_the_scores_and_never_the_availability(deployed: Road, updated: Load) -> None:
    """Every call is answered, by the old model until the new one takes over, and by nothing else."""
    old, new = (reference(deployed, seed, QUERY, DOCUMENTS[:4]) for seed in (OLD, NEW))
    from_old = [answer == pytest.approx(old, abs=1e-6) for answer in updated.answers]
    from_new = [answer == pytest.approx(new, abs=1e-6) for answer in updated.answers]

    assert [] == updated.faults
    assert all(either != both for either, both in zip(from_old, from_new, strict=True))
    assert from_old[0]
    assert from_new[-1]


def test_batch_jobs_use_the_new_model_as_well(deployed: Road, updated: Load, tmp_path: Path) -> None:
    """The batch model is replaced with the endpoint's."""
    setup = BatchSetup.load(deployed.aws, DEPLOYMENT)
    bucket, _, key = f"{setup.input_uri}/after/a.jsonl".removeprefix("s3://").partition("/")
    line = json.dumps({"query": QUERY, "documents": DOCUMENTS[:3]})
    deployed.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=line.encode())
    written = run_job(deployed, "after", f"{setup.input_uri}/after", tmp_path)

    assert reference(deployed, NEW, QUERY, DOCUMENTS[:3]) == pytest.approx(scores(written["a.jsonl.out"][0]), abs=1e-6)


def test_destroying_leaves_nothing(deployed: Road, updated: Load, rerank: Callable[..., Any]) -> None:
    """No endpoint, model, bucket, parameter, alarm or process; commands say that nothing is deployed."""
    deployed.destroy()
    aws = deployed.aws
    sagemaker = aws.client("sagemaker")
    code, _, said = rerank("invoke", "--local", "--query", "q", "a")

    assert [] == sagemaker.list_endpoints()["Endpoints"]
    assert [] == sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert [] == sagemaker.list_models()["Models"]
    assert [] == aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [] == aws.client("ssm").get_parameters_by_path(Path="/rerank", Recursive=True)["Parameters"]
    assert [] == [b["Name"] for b in aws.client("s3").list_buckets()["Buckets"] if not b["Name"].startswith("cdk-")]
    assert [] == deployed.local.get(STATUS_PATH)["endpoints"]
    assert (code, "No deployment 'sandbox'" in said) == (1, True)
    with pytest.raises(ClientError, match="not found"):
        invoke(deployed, "q", ["a"])
