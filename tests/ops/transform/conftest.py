"""An account in moto in which a deployment's batch model, bucket and key are published."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from rerank_local import control

REGION = "us-east-1"
BUCKET = "batch-bucket"
PARAMETERS = {
    "batch-model-name": "batch-model",
    "batch-input-uri": f"s3://{BUCKET}/input/",
    "batch-output-uri": f"s3://{BUCKET}/output/",
    "batch-instance-type": "ml.g4dn.xlarge",
    "endpoint-name": "rerank-sandbox",
}


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account in which `sandbox` is deployed."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    # every command has a session of its own, which would read SageMaker's service model (megabytes of JSON) again
    monkeypatch.setattr("botocore.session.create_loader", _loader)
    with mock_aws():
        control.install()  # other tests of this process may have: SageMaker checks what it is asked for either way
        image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:cpu"
        boto3.client("sagemaker").create_model(
            ModelName="batch-model",
            ExecutionRoleArn="arn:aws:iam::123456789012:role/batch",
            PrimaryContainer={"Image": image},
        )
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        ssm = boto3.client("ssm")
        for name, value in {**PARAMETERS, "kms-key-arn": key}.items():
            ssm.put_parameter(Name=f"/rerank/sandbox/{name}", Value=value, Type="String")
        yield


_loader = functools.cache(create_loader)


@pytest.fixture
def requests_file(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps({"id": n, "query": "q", "documents": ["a"]}) + "\n" for n in range(3)))
    return path


@pytest.fixture
def objects() -> Callable[[], dict[str, bytes]]:
    """What is in the bucket, by key."""

    def read() -> dict[str, bytes]:
        s3 = boto3.client("s3")
        listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {item["Key"]: s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in listed}

    return read
