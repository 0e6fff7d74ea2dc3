"""What a value of a deployment's file may be, where a plain type does not say it: patterns and bounds. Pure."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from rerank_infra.instances import InstanceType

Seconds = Annotated[int, Field(ge=0, le=3600)]
Timeout = Annotated[int, Field(ge=60, le=3600)]
Percent = Annotated[float, Field(gt=0, le=100)]
DeploymentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", max_length=63)]
AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
SubnetId = Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")]
SecurityGroupId = Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]{8,17}$")]
KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$")]
TopicArn = Annotated[str, StringConstraints(pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$")]


def _is_instance_type(value: str) -> str:
    return InstanceType.parse(value).value


def _is_schedule(value: str) -> str:
    if not re.fullmatch(r"cron\((\S+ ){5}\S+\)|rate\(\d+ (minute|hour|day)s?\)|at\(\S+\)", value):
        raise ValueError("write cron(minute hour day-of-month month day-of-week year), rate(…) or at(…)")
    return value


def _is_tag_key(value: str) -> str:
    if value.lower().startswith("aws:") or not 1 <= len(value) <= 128:
        raise ValueError("a tag has 1 to 128 characters and does not start with aws:")
    return value


InstanceTypeName = Annotated[str, AfterValidator(_is_instance_type)]
ScheduleExpression = Annotated[str, AfterValidator(_is_schedule)]
TagKey = Annotated[str, AfterValidator(_is_tag_key)]
TagValue = Annotated[str, StringConstraints(max_length=256)]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
EmailAddress = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]
ScheduleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
HostImage = Literal[
    "auto",
    "al2-ami-sagemaker-inference-gpu-2",
    "al2-ami-sagemaker-inference-gpu-2-1",
    "al2-ami-sagemaker-inference-gpu-3-1",
    "al2023-ami-sagemaker-inference-gpu-4-1",
]
