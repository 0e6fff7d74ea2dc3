"""Batch transform jobs of a deployment: submit, follow, stop, list."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from rerank_ops.aws import Aws, deployment_parameters, parameter
from rerank_ops.errors import NotFound, Refused
from rerank_ops.progress import Meter
from rerank_ops.transform.outputs import list_outputs
from rerank_ops.transform.request import problems

FINAL = frozenset({"Completed", "Failed", "Stopped"})
# botocore's own waiter asks once a minute and gives up after an hour.
POLL_S, LOCAL_POLL_S = 15.0, 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """A job as SageMaker describes it.

    Attributes:
        by_line: whether its records are lines, of its input and of its output.
        compressed: whether its input is.
    """

    name: str
    status: str
    model_name: str = ""
    input_uri: str = ""
    output_uri: str = ""
    instance_type: str = ""
    instance_count: int = 0
    created: datetime | None = None
    ended: datetime | None = None
    failure_reason: str | None = None
    by_line: bool = False
    compressed: bool = False

    @classmethod
    def from_description(cls, described: Mapping[str, Any]) -> Self:
        """From describe_transform_job's answer, or an entry of list_transform_jobs (which says less)."""
        source = described.get("TransformInput", {}).get("DataSource", {}).get("S3DataSource", {})
        resources = described.get("TransformResources", {})
        given, written = described.get("TransformInput", {}), described.get("TransformOutput", {})
        return cls(
            name=described["TransformJobName"],
            status=described["TransformJobStatus"],
            model_name=described.get("ModelName", ""),
            input_uri=source.get("S3Uri", ""),
            output_uri=described.get("TransformOutput", {}).get("S3OutputPath", ""),
            instance_type=resources.get("InstanceType", ""),
            instance_count=resources.get("InstanceCount", 0),
            created=described.get("CreationTime"),
            ended=described.get("TransformEndTime"),
            failure_reason=described.get("FailureReason") or None,
            by_line=(source.get("S3DataType"), given.get("SplitType"), written.get("AssembleWith"))
            == ("S3Prefix", "Line", "Line"),
            compressed=given.get("CompressionType") == "Gzip",
        )


@dataclass(frozen=True, slots=True)
class BatchSetup:
    """What the stacks prepared for batch jobs, as their SSM parameters say."""

    deployment: str
    model_name: str
    input_uri: str
    output_uri: str
    instance_type: str
    kms_key_arn: str | None
    max_payload_mb: int = 6
    max_concurrent: int = 1
    timeout_s: int = 600

    @classmethod
    def load(cls, aws: Aws, deployment: str) -> Self:
        """Reads /rerank/<deployment>/….

        Raises:
            NotFound: nothing is deployed under this name.
        """
        values = deployment_parameters(aws, deployment)
        names = ("batch-model-name", "batch-input-uri", "batch-output-uri", "batch-instance-type")
        model, source, output, instance = (parameter(values, deployment, name) for name in names)
        return cls(
            deployment,
            model,
            source.rstrip("/"),
            output.rstrip("/"),
            instance,
            values.get("kms-key-arn"),
            max_payload_mb=int(values.get("batch-max-payload-mb", 6)),
            max_concurrent=int(values.get("batch-max-concurrent", 1)),
            timeout_s=int(values.get("batch-timeout-seconds", 600)),
        )


def new_job_name(deployment: str) -> str:
    """A name no other job has: rerank-<deployment>-<UTC time>-<4 hex digits>."""
    return f"rerank-{deployment}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def check(request: Mapping[str, Any]) -> None:
    """Refused lists every mistake in the request that SageMaker would find late or never."""
    if found := problems(request):
        raise Refused("The job was not submitted: " + "; ".join(found) + ".")


def submit(sagemaker: Any, request: dict[str, Any]) -> None:
    """Creates the job, after `check`."""
    check(request)
    sagemaker.create_transform_job(**request)


def describe(sagemaker: Any, name: str) -> Job:
    """The job now.

    Raises:
        NotFound: no job has this name.
    """
    from botocore.exceptions import ClientError

    try:
        return Job.from_description(sagemaker.describe_transform_job(TransformJobName=name))
    except ClientError as error:
        if re.search(r"could not find|not found|does not exist", str(error), re.IGNORECASE):
            raise NotFound(
                f"No transform job {name!r} in this account and region.", tip="rerank transform list"
            ) from None
        raise


def follow(
    sagemaker: Any,
    s3: Any,
    name: str,
    report: Meter,
    *,
    objects: int,
    poll_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Job:
    """Waits for the job's end. Outputs that have appeared, of `objects` (0: unknown), are the progress it shows."""
    while True:
        job = describe(sagemaker, name)
        done = len(list_outputs(s3, job.output_uri))
        fraction = None if not objects else min(1.0, done / objects)
        files = f"{done} of {objects} files" if objects else f"{done} files"
        report(fraction, f"{job.status}, {files} written")
        if job.status in FINAL:
            return job
        sleep(poll_s)


def recent(sagemaker: Any, deployment: str, most: int) -> list[Job]:
    """The deployment's latest jobs, newest first."""
    prefix = f"rerank-{deployment}-"
    answer = sagemaker.list_transform_jobs(
        NameContains=prefix, SortBy="CreationTime", SortOrder="Descending", MaxResults=most
    )
    return [Job.from_description(entry) for entry in answer["TransformJobSummaries"]]


def poll_seconds(aws: Aws) -> float:
    """How often to ask: SageMaker takes minutes to start instances, a local job a second."""
    return LOCAL_POLL_S if aws.local else POLL_S
