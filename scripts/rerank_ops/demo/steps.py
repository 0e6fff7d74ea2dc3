"""What the demo does between deploying and taking down: through boto3, as any program would."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rerank_ops.aws import Aws, deployment_parameters, parameter
from rerank_ops.demo.data import requests
from rerank_ops.demo.report import Ranking
from rerank_ops.errors import Unfinished
from rerank_ops.progress import meter
from rerank_ops.transform import inputs, jobs, outputs
from rerank_ops.transform.jobs import BatchSetup
from rerank_ops.transform.request import TransformOptions, build_request

TOLERANCE = 1e-5  # batch packs several records into one forward pass: sums are taken in another order


def ask(aws: Aws, deployment: str) -> list[Ranking]:
    """Asks the endpoint every question: one invoke_endpoint call each."""
    endpoint = parameter(deployment_parameters(aws, deployment), deployment, "endpoint-name")
    runtime = aws.client("sagemaker-runtime")
    answers = []
    for request in requests():
        response = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType="application/json", Body=json.dumps(request).encode()
        )
        answers.append(_ranking(json.loads(response["Body"].read())))
    return answers


def rerank_in_s3(aws: Aws, deployment: str, folder: Path) -> list[str]:
    """Writes the same requests to S3 as JSON Lines, runs a batch transform job over them, returns the lines it wrote.

    Raises:
        Unfinished: the job did not complete.
    """
    setup = BatchSetup.load(aws, deployment)
    name = jobs.new_job_name(deployment)
    input_uri, output_uri = f"{setup.input_uri}/{name}/requests.jsonl", f"{setup.output_uri}/{name}"
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
    bucket, key = inputs.parse_uri(input_uri)
    lines = "".join(json.dumps(request) + "\n" for request in requests())
    s3.put_object(Bucket=bucket, Key=key, Body=lines.encode())
    request = build_request(
        name,
        model_name=setup.model_name,
        input_uri=input_uri,
        output_uri=output_uri,
        options=TransformOptions(instance_type=setup.instance_type),
        kms_key_arn=setup.kms_key_arn,
    )
    jobs.submit(sagemaker, request)
    with meter(name) as report:
        job = jobs.follow(sagemaker, s3, name, report, objects=1, poll_s=jobs.poll_seconds(aws))
    if job.status != "Completed":
        raise Unfinished(f"{name} ended as {job.status}: {job.failure_reason}")
    [written] = outputs.download(s3, output_uri, folder)
    return (folder / written.name).read_text(encoding="utf-8").splitlines()


def agreement(asked: Sequence[Ranking], lines: Sequence[str]) -> float:
    """Largest difference between the endpoint's scores and the batch job's.

    Raises:
        Unfinished: they differ by more than rounding explains, or lines are missing.
    """
    written = [dict(_ranking(json.loads(line))) for line in lines]
    if len(written) != len(asked):
        raise Unfinished(f"The job wrote {len(written)} lines for {len(asked)} requests.")
    largest = max(
        abs(score - scores[index]) for ranking, scores in zip(asked, written, strict=True) for index, score in ranking
    )
    if largest > TOLERANCE:
        raise Unfinished(f"Batch and endpoint differ by {largest} in a score; {TOLERANCE} is allowed.")
    return largest


def _ranking(answer: dict[str, Any]) -> Ranking:
    if "results" not in answer:
        raise Unfinished(f"An answer without results: {answer}")
    return [(result["index"], result["relevance_score"]) for result in answer["results"]]
