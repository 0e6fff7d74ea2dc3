"""A batch transform request: built from options, checked before it is submitted. Pure.

SageMaker finds most of these mistakes minutes later, when instances have started, and some not at all. Limits from
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html and botocore's service model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rerank_infra.instances import InstanceType

JSON_LINES = "application/jsonlines"
MOST_MEGABYTES = 100  # MaxConcurrentTransforms x MaxPayloadInMB
LONGEST_FILTER = 63
MOST_VARIABLES = 16
# The cu124 image runs on driver 535 (CUDA 12 minor-version compatibility); batch transform offers no newer one.
GPU_AMI = "al2-ami-sagemaker-batch-gpu-535"
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


@dataclass(frozen=True, slots=True)
class TransformOptions:
    """What a caller may choose of a job.

    Attributes:
        instance_type, instance_count: the job's own instances; files, not lines, are spread over them.
        strategy: MultiRecord packs as many lines into a request as fit, SingleRecord sends each alone.
        max_payload_mb: largest request, in MB.
        max_concurrent: requests in flight per instance.
        timeout_s, retries: of one request.
        compression: of the input objects.
        join: put each answer beside its input line, under SageMakerOutput.
        input_filter, output_filter: JSONPath of what is sent, and of what is written.
        environment: variables added to the model's own.
    """

    instance_type: str
    instance_count: int = 1
    strategy: Literal["MultiRecord", "SingleRecord"] = "MultiRecord"
    max_payload_mb: int = 6
    max_concurrent: int = 1
    timeout_s: int = 600
    retries: int = 3
    compression: Literal["None", "Gzip"] = "None"
    join: bool = False
    input_filter: str = "$"
    output_filter: str = "$"
    environment: Mapping[str, str] = field(default_factory=dict)


def build_request(
    name: str,
    *,
    model_name: str,
    input_uri: str,
    output_uri: str,
    options: TransformOptions,
    kms_key_arn: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The arguments of boto3's create_transform_job.

    No VolumeKmsKeyId: instances with local disks refuse it, and those disks are encrypted in hardware.
    """
    resources: dict[str, Any] = {"InstanceType": options.instance_type, "InstanceCount": options.instance_count}
    if _has_gpu(options.instance_type):
        resources["TransformAmiVersion"] = GPU_AMI
    output = {"S3OutputPath": output_uri, "Accept": JSON_LINES, "AssembleWith": "Line"}
    return {
        "TransformJobName": name,
        "ModelName": model_name,
        "MaxConcurrentTransforms": options.max_concurrent,
        "MaxPayloadInMB": options.max_payload_mb,
        "BatchStrategy": options.strategy,
        "ModelClientConfig": {
            "InvocationsTimeoutInSeconds": options.timeout_s,
            "InvocationsMaxRetries": options.retries,
        },
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": input_uri}},
            "ContentType": JSON_LINES,
            "SplitType": "Line",
            "CompressionType": options.compression,
        },
        "TransformOutput": output | ({"KmsKeyId": kms_key_arn} if kms_key_arn else {}),
        "DataProcessing": {
            "InputFilter": options.input_filter,
            "OutputFilter": options.output_filter,
            "JoinSource": "Input" if options.join else "None",
        },
        "TransformResources": resources,
        "Environment": dict(options.environment),
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    }


def problems(request: Mapping[str, Any]) -> list[str]:
    """What SageMaker would refuse, or worse, accept and fail at; empty when nothing is wrong."""
    found: list[str] = []
    name, concurrent = str(request["TransformJobName"]), int(request["MaxConcurrentTransforms"])
    payload_mb, client = int(request["MaxPayloadInMB"]), request["ModelClientConfig"]
    if not _JOB_NAME.fullmatch(name):
        found.append(f"job name {name!r}: letters, digits and inner hyphens, 63 at most")
    if not 0 <= payload_mb <= MOST_MEGABYTES or concurrent < 1 or concurrent * payload_mb > MOST_MEGABYTES:
        found.append(f"{concurrent} concurrent requests x {payload_mb} MB: the product must be 1..{MOST_MEGABYTES}")
    if not 1 <= client["InvocationsTimeoutInSeconds"] <= 3600 or not 0 <= client["InvocationsMaxRetries"] <= 3:
        found.append("timeout must be 1..3600 s and retries 0..3")
    for key in ("InputFilter", "OutputFilter"):
        text = str(request["DataProcessing"][key])
        if not text.startswith("$") or len(text) > LONGEST_FILTER:
            found.append(f"{key} {text!r}: must start with $ and have {LONGEST_FILTER} characters at most")
    if len(request["Environment"]) > MOST_VARIABLES:
        found.append(f"{len(request['Environment'])} environment variables: {MOST_VARIABLES} at most")
    for where, uri in (
        ("input", request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]),
        ("output", request["TransformOutput"]["S3OutputPath"]),
    ):
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", uri):
            found.append(f"{where} {uri!r}: must read s3://bucket/prefix")
    return found + _resource_problems(request["TransformResources"])


def _resource_problems(resources: Mapping[str, Any]) -> list[str]:
    found = [] if 1 <= resources["InstanceCount"] <= 100 else [f"{resources['InstanceCount']} instances: 1..100"]
    try:
        instance = InstanceType.parse(resources["InstanceType"])
    except ValueError as error:
        return [*found, f"instance type {error}"]
    if not instance.can_transform:
        found.append(
            f"instance type {instance.value}: batch transform does not offer it (g4dn, g5, g6, g6e, c6i, c7i… do)"
        )
    return found


def _has_gpu(instance_type: str) -> bool:
    try:
        return InstanceType.parse(instance_type).has_gpu
    except ValueError:
        return False
