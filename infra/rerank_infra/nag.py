"""Findings of cdk-nag that are meant to be there, each with its reason next to the construct it concerns."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct


def accept(construct: Construct, finding: str, reason: str) -> None:
    """Accepts `finding` at `construct` and below."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"AwsSolutions::{finding}", reason=reason))


def accept_wildcard(construct: Construct, resource: str, reason: str) -> None:
    """Accepts AwsSolutions-IAM5 for this one `resource` in the policies at `construct` and below.

    cdk-nag tells findings on wildcards apart by the resource, and wants the exact text it prints.
    """
    printed = _as_printed(cdk.Stack.of(construct).resolve(resource))
    accept(construct, f"AwsSolutions-IAM5[Resource::{printed}]", reason)


def _as_printed(value: Any) -> str:
    """A resolved value the way cdk-nag flattens it: `<Logical.Arn>/input/*`."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return str(name)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_as_printed(part) for part in parts)
    return str(value)
