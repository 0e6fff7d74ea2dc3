"""Transform jobs between moto's records and what runs them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_local.control import sagemaker_api
from rerank_local.data.errors import TransformRefused
from rerank_local.data.values import JobView, ModelSpec

ROLE = "arn:aws:iam::123456789012:role/reranker"
REQUEST = {
    "TransformJobName": "job",
    "ModelName": "a",
    "BatchStrategy": "SingleRecord",
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}},
    "TransformOutput": {"S3OutputPath": "s3://b/out/"},
    "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    "DataProcessing": {"JoinSource": "Input"},
}
EMPTY = {"batch_strategy": None, "max_payload_mb": None, "max_concurrent": None}
COUNTS = {"files_total": 0, "files_done": 0, "files_failed": 0, "records": 0}


class Jobs:
    """Starts jobs and leaves them running until told otherwise."""

    def __init__(self, log: Any) -> None:
        self.created: list[tuple[Mapping[str, Any], ModelSpec]] = []
        self._log = log

    def create(self, request: Mapping[str, Any], model: ModelSpec) -> JobView:
        if request["TransformOutput"]["S3OutputPath"].startswith("http"):
            raise TransformRefused("S3OutputPath is not an s3:// URI")
        self.created.append((request, model))
        return self.move("InProgress")

    def stop(self, name: str) -> None:
        self.move("Stopped")

    def move(self, status: str, reason: str | None = None) -> JobView:
        time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        view = JobView(
            name="job",
            status=status,
            failure_reason=reason,
            creation_time=time,
            start_time=time,
            end_time=None if status == "InProgress" else time,
            log=self._log,
            **EMPTY,
            **COUNTS,
        )
        sagemaker_api.job_changed(view)
        return view


@pytest.fixture
def jobs(cloud: Any, tmp_path: Any) -> Iterator[Jobs]:
    double = Jobs(tmp_path / "log")
    sagemaker_api.attach(None, double)
    yield double
    sagemaker_api.attach(None, None)


@pytest.fixture
def sagemaker(cloud: Any) -> Any:
    client = cloud.client("sagemaker")
    container = {"Image": "image:1", "ModelDataUrl": "s3://bucket/a.tar.gz", "Environment": {"A": "1"}}
    client.create_model(ModelName="a", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return client


def test_a_job_runs_until_it_is_completed(sagemaker: Any, jobs: Jobs) -> None:
    """InProgress without an end, then Completed with one; the request is described as it was made."""
    sagemaker.create_transform_job(**REQUEST)
    running = sagemaker.describe_transform_job(TransformJobName="job")
    jobs.move("Completed")
    done = sagemaker.describe_transform_job(TransformJobName="job")

    ((request, model),) = jobs.created
    assert ("s3://bucket/a.tar.gz", {"A": "1"}) == (model.model_data_url, dict(model.environment))
    assert {"JoinSource": "Input"} == request["DataProcessing"] == done["DataProcessing"]
    assert "InProgress" == running["TransformJobStatus"]
    assert "TransformEndTime" not in running
    assert ("Completed", 2026) == (done["TransformJobStatus"], done["TransformEndTime"].year)


def test_a_failed_job_says_why(sagemaker: Any, jobs: Jobs) -> None:
    """FailureReason comes from the data plane, and lists show the status."""
    sagemaker.create_transform_job(**REQUEST)
    jobs.move("Failed", "ClientError: See job logs")

    (listed,) = sagemaker.list_transform_jobs(StatusEquals="Failed")["TransformJobSummaries"]
    assert "job" == listed["TransformJobName"]
    assert "ClientError: See job logs" == sagemaker.describe_transform_job(TransformJobName="job")["FailureReason"]


def test_a_running_job_can_be_stopped_once(sagemaker: Any, jobs: Jobs) -> None:
    """StopTransformJob works on a running job, refuses a finished one and an unknown one."""
    sagemaker.create_transform_job(**REQUEST)
    sagemaker.stop_transform_job(TransformJobName="job")

    assert "Stopped" == sagemaker.describe_transform_job(TransformJobName="job")["TransformJobStatus"]
    with pytest.raises(ClientError, match="in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName="job")
    with pytest.raises(ClientError, match="nobody") as caught:
        sagemaker.stop_transform_job(TransformJobName="nobody")
    assert "ResourceNotFound" == caught.value.response["Error"]["Code"]


def test_a_name_is_taken_once(sagemaker: Any, jobs: Jobs) -> None:
    """Job names are unique for ever, as on AWS."""
    sagemaker.create_transform_job(**REQUEST)

    with pytest.raises(ClientError) as caught:
        sagemaker.create_transform_job(**REQUEST)

    assert "ResourceInUse" == caught.value.response["Error"]["Code"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"TransformOutput": {"S3OutputPath": "https://b/out"}}, "S3OutputPath"),
        ({"TransformResources": {"InstanceType": "ml.p6-b300.48xlarge", "InstanceCount": 1}}, "instanceType"),
        ({"MaxPayloadInMB": 0, "BatchStrategy": "Sometimes"}, "batchStrategy"),
    ],
)
def test_what_cannot_work_is_refused_and_leaves_no_job(
    sagemaker: Any, jobs: Jobs, change: dict[str, Any], message: str
) -> None:
    """Refusals come as ValidationException, before a record exists."""
    with pytest.raises(ClientError, match=message) as caught:
        sagemaker.create_transform_job(**{**REQUEST, **change})

    assert "ValidationException" == caught.value.response["Error"]["Code"]
    assert [] == sagemaker.list_transform_jobs()["TransformJobSummaries"]


def test_without_a_data_plane_a_job_is_completed_at_once(sagemaker: Any) -> None:
    """As in plain moto, for tests of callers."""
    sagemaker.create_transform_job(**REQUEST)

    assert "Completed" == sagemaker.describe_transform_job(TransformJobName="job")["TransformJobStatus"]
