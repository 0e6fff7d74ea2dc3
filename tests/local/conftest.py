"""Fixtures of the command and local-AWS suites."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

REGION = "us-east-1"


class Cloud:
    """moto with the kit's control plane, in this process."""

    def client(self, service: str) -> Any:
        from rerank_local.control import loopback

        return loopback.client(service, REGION)  # kept between tests: reading service models takes most of the time

    def deploy(self, template: dict[str, Any], name: str = "stack", **options: Any) -> dict[str, Any]:
        """Creates or updates a stack and describes it."""
        cloudformation = self.client("cloudformation")
        live = [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]
        verb = cloudformation.update_stack if name in live else cloudformation.create_stack
        verb(StackName=name, TemplateBody=json.dumps(template), **options)
        return self.stack(name)

    def deployed(self, template: dict[str, Any]) -> None:
        """Deploys, and says why when it fails."""
        stack = self.deploy(template)
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack.get("StackStatusReason")

    def deleted(self) -> None:
        """Deletes the stack, and says why when it fails."""
        stack_id = self.stack()["StackId"]
        self.client("cloudformation").delete_stack(StackName="stack")
        stack = self.stack(stack_id)
        assert "DELETE_COMPLETE" == stack["StackStatus"], stack.get("StackStatusReason")

    def stack(self, name: str = "stack") -> dict[str, Any]:
        (found,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return dict(found)

    def outputs(self, name: str = "stack") -> dict[str, str]:
        return {item["OutputKey"]: item["OutputValue"] for item in self.stack(name).get("Outputs", [])}

    def resources(self, name: str = "stack") -> dict[str, str]:
        """Logical id → physical id."""
        found = self.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}

    def events(self, name: str = "stack") -> list[tuple[str, str, str | None]]:
        """(logical id, status, reason), oldest first."""
        found = self.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
        return [(e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason")) for e in found[::-1]]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An empty account."""
    from moto import mock_aws

    from rerank_local import control

    for name, value in {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}.items():
        monkeypatch.setenv(name, value)
    control.install()
    with mock_aws():
        yield Cloud()
