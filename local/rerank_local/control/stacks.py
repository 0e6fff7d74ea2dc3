"""Stacks, their events, outputs and change sets, as CloudFormation's API describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rerank_local.control.errors import ChangeSetNotFound, StackNotFound
from rerank_local.control.handlers.base import Place, Resource
from rerank_local.control.parameters import Parameters
from rerank_local.control.preview import Change
from rerank_local.control.template import Template

_STACK_TYPE = "AWS::CloudFormation::Stack"


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Output:
    """A resolved output; `export` is its name for other stacks."""

    key: str
    value: str
    description: str | None = None
    export: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A planned create or update."""

    name: str
    id: str
    kind: str  # CREATE or UPDATE
    stack: "Stack"
    template: Template
    parameters: Parameters
    tags: Mapping[str, str]
    changes: tuple[Change, ...]
    options: Mapping[str, Any]
    created: datetime = field(default_factory=now)

    @property
    def is_empty(self) -> bool:
        """Whether executing it would change nothing."""
        current = self.stack.template
        return (
            self.kind == "UPDATE"
            and current is not None
            and current.same_as(self.template)
            and self.parameters == self.stack.parameters
            and dict(self.tags) == self.stack.tags
        )

    def describe(self) -> dict[str, Any]:
        """As DescribeChangeSet answers."""
        reason = (
            "The submitted information didn't contain changes. Submit different information to create a change set."
        )
        return {
            "ChangeSetName": self.name,
            "ChangeSetId": self.id,
            "StackId": self.stack.place.stack_id,
            "StackName": self.stack.name,
            "Parameters": self.parameters.described(self.template),
            "CreationTime": self.created,
            "ExecutionStatus": "UNAVAILABLE" if self.is_empty else "AVAILABLE",
            "Status": "FAILED" if self.is_empty else "CREATE_COMPLETE",
            "StatusReason": reason if self.is_empty else None,
            "Capabilities": self.options.get("Capabilities") or [],
            "Tags": described_tags(self.tags),
            "Changes": [change.describe(self.stack.resources) for change in self.changes],
        }


@dataclass(slots=True)
class Stack:
    """A stack and everything that happened to it."""

    name: str
    place: Place
    status: str
    template: Template | None = None  # of the last successful deployment, or the first attempt
    parameters: Parameters = field(default_factory=Parameters)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)  # Capabilities, RoleARN, NotificationARNs, DisableRollback
    termination_protection: bool = False
    status_reason: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)  # logical id → its last event
    created: datetime = field(default_factory=now)
    updated: datetime | None = None
    deleted: datetime | None = None

    def emit(self, logical_id: str, physical_id: str, kind: str, status: str, reason: str | None = None) -> None:
        """Records an event of one resource."""
        event = {
            "StackId": self.place.stack_id,
            "EventId": str(uuid4()),
            "StackName": self.name,
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "Timestamp": now(),
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }
        self.events.append(event)
        if kind != _STACK_TYPE or logical_id != self.name:
            self.states[logical_id] = event

    def enter(self, status: str, reason: str | None = None) -> None:
        """Moves the stack itself to `status`."""
        self.status, self.status_reason = status, reason
        self.emit(self.name, self.place.stack_id, _STACK_TYPE, status, reason)

    @property
    def live(self) -> bool:
        """Whether it is not deleted."""
        return self.deleted is None

    def describe(self) -> dict[str, Any]:
        """As DescribeStacks answers."""
        described: dict[str, Any] = {
            "StackId": self.place.stack_id,
            "StackName": self.name,
            "Description": self.template.description if self.template else None,
            "Parameters": self.parameters.described(self.template) if self.template else [],
            "CreationTime": self.created,
            "LastUpdatedTime": self.updated,
            "DeletionTime": self.deleted,
            "StackStatus": self.status,
            "StackStatusReason": self.status_reason,
            "DisableRollback": bool(self.options.get("DisableRollback", False)),
            "NotificationARNs": self.options.get("NotificationARNs") or [],
            "Capabilities": self.options.get("Capabilities") or [],
            "RoleARN": self.options.get("RoleARN"),
            "EnableTerminationProtection": self.termination_protection,
            "Tags": described_tags(self.tags),
            "Outputs": [
                {
                    "OutputKey": output.key,
                    "OutputValue": output.value,
                    "Description": output.description,
                    "ExportName": output.export,
                }
                for output in self.outputs
            ],
        }
        return {key: value for key, value in described.items() if value is not None}

    def describe_resources(self) -> list[dict[str, Any]]:
        """As DescribeStackResources answers, in creation order."""
        described = []
        for resource in self.resources.values():
            state = self.states.get(resource.logical_id, {})
            described.append(
                {
                    "StackName": self.name,
                    "StackId": self.place.stack_id,
                    "LogicalResourceId": resource.logical_id,
                    "PhysicalResourceId": resource.physical_id,
                    "ResourceType": resource.type,
                    "Timestamp": state.get("Timestamp", self.created),
                    "LastUpdatedTimestamp": state.get("Timestamp", self.created),
                    "ResourceStatus": state.get("ResourceStatus", "CREATE_COMPLETE"),
                    "ResourceStatusReason": state.get("ResourceStatusReason"),
                }
            )
        return described


@dataclass(slots=True)
class Store:
    """The stacks of one region."""

    stacks: dict[str, Stack] = field(default_factory=dict)  # by id, deleted ones included
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)  # by id

    def find(self, name_or_id: str) -> Stack:
        """A live stack by name, or any stack by id.

        Raises:
            StackNotFound: there is none.
        """
        if name_or_id in self.stacks:
            return self.stacks[name_or_id]
        for stack in self.stacks.values():
            if stack.name == name_or_id and stack.live:
                return stack
        raise StackNotFound(name_or_id)

    def find_change_set(self, name_or_id: str, stack_name: str | None) -> ChangeSet:
        """A change set by id, or by name and stack.

        Raises:
            ChangeSetNotFound: there is none.
        """
        for change_set in self.change_sets.values():
            of_stack = stack_name in (None, change_set.stack.name, change_set.stack.place.stack_id)
            if name_or_id == change_set.id or (name_or_id == change_set.name and of_stack):
                return change_set
        raise ChangeSetNotFound(name_or_id)

    def exports(self) -> dict[str, str]:
        """Every exported value of the region, by name."""
        return {name: output.value for name, (output, _) in self.exporters().items()}

    def exporters(self) -> dict[str, tuple[Output, Stack]]:
        """Every export and its stack, by name."""
        return {
            output.export: (output, stack)
            for stack in self.stacks.values()
            if stack.live
            for output in stack.outputs
            if output.export
        }

    def importers(self, export: str) -> list[str]:
        """Names of the live stacks that import `export`."""
        return [stack.name for stack in self.stacks.values() if stack.live and export in stack.imported]


def described_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as a list of Key and Value."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
