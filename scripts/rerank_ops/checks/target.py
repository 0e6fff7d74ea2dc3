"""Which profile, region and endpoint are in force, and which variable, file or flag each came from. No network."""

import os
from collections.abc import Iterator

from rerank_client import aws as rule
from rerank_ops.aws import Aws
from rerank_ops.checks.base import Finding, ok, warn

# What the kit's commands call, and what `cdk deploy` calls for them.
SERVICES = ("cloudformation", "s3", "ssm", "sts", "iam", "ecr", "sagemaker", "sagemaker-runtime", "service-quotas")


def findings(aws: Aws) -> Iterator[Finding]:
    """Profile, region and endpoint."""
    yield profile(aws)
    yield region(aws)
    yield endpoint(aws)


def profile(aws: Aws) -> Finding:
    """Whose keys and settings count."""
    found = aws.profile_in_force()
    if aws.local_env:
        return ok("profile", "none (--local)")
    said = f"{found.value} ({found.source})"
    if found.source != rule.GIVEN and os.environ.get("AWS_ACCESS_KEY_ID"):
        said += "; keys come from AWS_ACCESS_KEY_ID"
    first, second = (os.environ.get(name) for name in rule.PROFILE_VARIABLES)
    if found.source in rule.PROFILE_VARIABLES and first and second and first != second:
        return warn(
            "profile",
            f"{said}; AWS_DEFAULT_PROFILE says {second}",
            "Plain boto3 programs take AWS_DEFAULT_PROFILE first: unset one of them.",
        )
    return ok("profile", said)


def region(aws: Aws) -> Finding:
    """The region calls go to, and variables that other programs would read differently."""
    found = aws.region_in_force()
    said = f"{found.value} ({found.source})"
    if found.source == rule.NOTHING:
        return warn("region", f"{said}; the CDK takes the same", "Set AWS_REGION, or pass --region.")
    if aws.local_env:
        return ok("region", said)
    others = {name: os.environ[name] for name in rule.REGION_VARIABLES if os.environ.get(name)}
    differing = [f"{name} says {value}" for name, value in others.items() if value != found.value]
    if differing:
        remedy = "Programs differ in which of these they read (boto3: AWS_DEFAULT_REGION): set all to one region."
        return warn("region", "; ".join((said, *differing)), remedy)
    return ok("region", said)


def endpoint(aws: Aws) -> Finding:
    """Where calls go: AWS, or a URL instead; services that go elsewhere than the others are named."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for service in SERVICES:
        found = aws.endpoint(service)
        place = (found.value or "AWS", found.source)
        by_place.setdefault(place, []).append(service)
    shown = [f"{url} ({source})" for url, source in by_place]
    if len({url for url, _ in by_place}) == 1:
        return ok("endpoint", shown[0])
    parts = (f"{place} for {', '.join(names)}" for place, names in zip(shown, by_place.values(), strict=True))
    return warn("endpoint", "; ".join(parts), "Calls of one command go to different AWSs: unset what is not meant.")
