"""A model archive whose server the tests steer, a fleet that runs it, a desk for transform jobs over moto's S3."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import boto3
import pytest
from moto import mock_aws

from rerank_local.data.container.container import Care
from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.transform.jobs import TransformJobs
from rerank_local.data.values import JobView, VariantSpec

SERVER = Path(__file__).parent / "fake_container.py"


@dataclass
class Models:
    """Model archives by URL; `variant` describes one that runs the fake container."""

    objects: dict[str, bytes] = field(default_factory=dict)
    url: str = "s3://models/fake.tar.gz"
    care: Care = field(
        default_factory=lambda: Care(stop_grace_s=5.0, ping_every_s=0.1, failed_pings=3, restarts=2, pause_s=0.05)
    )

    @staticmethod
    def pack(files: dict[str, bytes]) -> bytes:
        """A tar.gz of these members."""
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return target.getvalue()

    def fetch(self, url: str) -> BinaryIO:
        return io.BytesIO(self.objects[url])

    def variant(self, name: str = "main", *, url: str | None = None, weight: float = 1.0, **env: str) -> VariantSpec:
        return VariantSpec(
            name=name, model_data_url=url or self.url, environment={"FAKE_NAME": name, **env}, weight=weight
        )


@pytest.fixture
def models(request: pytest.FixtureRequest) -> Models:
    """A store that holds the fake container's archive; a parameter says how often its /ping is asked, in seconds."""
    store = Models()
    store.care = replace(store.care, ping_every_s=getattr(request, "param", store.care.ping_every_s))
    store.objects[store.url] = store.pack({"code/serve.py": SERVER.read_bytes(), "config.json": b"{}"})
    return store


@pytest.fixture
def fleet(models: Models, tmp_path: Path) -> Iterator[EndpointFleet]:
    """No endpoint yet; whatever a test starts is stopped at its end."""
    started = EndpointFleet(models.fetch, tmp_path / "logs", invocation_timeout_s=5.0, care=models.care)
    yield started
    started.stop_all()


@dataclass
class Desk:
    """Jobs, the bucket `data` they work on, and what they announced."""

    jobs: TransformJobs
    s3: Any
    models: Any
    seen: list[JobView]

    def put(self, **objects: bytes) -> None:
        for key, body in objects.items():
            self.s3.put_object(Bucket="data", Key=key.replace("__", "/").replace("_DOT_", "."), Body=body)

    def out(self, prefix: str = "out/") -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket="data", Prefix=prefix).get("Contents", [])
        return {
            item["Key"].removeprefix(prefix): self.s3.get_object(Bucket="data", Key=item["Key"])["Body"].read()
            for item in found
        }

    def create(self, uri: str = "s3://data/in/", env: dict[str, str] | None = None, **changes: Any) -> JobView:
        request = {
            "TransformJobName": "job",
            "ModelName": "m",
            "ModelClientConfig": {"InvocationsMaxRetries": 0},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": changes.pop("data_type", "S3Prefix"), "S3Uri": uri}},
                "ContentType": "application/jsonlines",
                "SplitType": "Line",
                **changes.pop("source", {}),
            },
            "TransformOutput": {
                "S3OutputPath": "s3://data/out",
                "Accept": "application/jsonlines",
                "AssembleWith": "Line",
                **changes.pop("output", {}),
            },
            "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
            **changes,
        }
        return self.jobs.create(request, self.models.variant(**(env or {})))

    def run(self, *args: Any, **changes: Any) -> JobView:
        view = self.create(*args, **changes)
        return self.jobs.wait(view.name, 30.0)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """boto3's S3 client over moto."""
    with mock_aws():
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        client.create_bucket(Bucket="data")
        yield client


@pytest.fixture
def desk(s3: Any, models: Any, tmp_path: Path) -> Iterator[Desk]:
    """An empty bucket and no job yet; jobs that still run at the end are stopped."""
    for item in s3.list_objects_v2(Bucket="data").get("Contents", []):
        s3.delete_object(Bucket="data", Key=item["Key"])
    seen: list[JobView] = []
    jobs = TransformJobs(models.fetch, lambda: s3, tmp_path, on_change=seen.append, care=models.care)
    yield Desk(jobs, s3, models, seen)
    jobs.stop_all()
