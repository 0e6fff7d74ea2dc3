"""What a new template would change, told before it is done: the Changes of a change set. Pure.

Only the templates are compared, as CloudFormation does: what refers to a replaced resource is told as a conditional
change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rerank_local.control.template import Template, creation_order, references


class Physical(Protocol):
    """Anything with a physical id."""

    @property
    def physical_id(self) -> str:
        """What Ref returns."""


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that would change; `properties`: changed property → whether it forces a new resource."""

    action: str  # Add, Modify or Remove
    logical_id: str
    type: str
    replacement: str | None = None  # True, False or Conditional; only for Modify
    properties: tuple[tuple[str, bool], ...] = ()

    def describe(self, resources: Mapping[str, Physical]) -> dict[str, Any]:
        """As DescribeChangeSet lists it."""
        known = resources.get(self.logical_id)
        details = [
            {
                "Target": {
                    "Attribute": "Properties",
                    "Name": name,
                    "RequiresRecreation": "Always" if replaces else "Never",
                },
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
            for name, replaces in self.properties
        ]
        change = {
            "Action": self.action,
            "LogicalResourceId": self.logical_id,
            "PhysicalResourceId": known.physical_id if known else None,
            "ResourceType": self.type,
            "Replacement": self.replacement,
            "Scope": ["Properties"] if self.action == "Modify" else [],
            "Details": details,
        }
        known_values = {key: value for key, value in change.items() if value is not None}
        return {"Type": "Resource", "ResourceChange": known_values}


def changes(
    old: Template | None,
    new: Template,
    changed_parameters: set[str],
    replaces: Callable[[str, str], bool],
) -> tuple[Change, ...]:
    """Additions and changes in creation order, then removals; `replaces(type, property)` asks the schemas."""
    before = old.resources if old else {}
    found: dict[str, Change] = {}
    renewed: set[str] = set()  # resources whose Ref or attributes may change
    for name in creation_order(new):
        declared = new.resources[name]
        kind = declared["Type"]
        if name not in before:
            found[name] = Change("Add", name, kind)
            continue
        direct = _changed(before[name], declared)
        moved = _referring(declared, renewed | changed_parameters)
        if not direct and not moved and _rest(before[name]) == _rest(declared):
            continue
        properties = tuple((item, replaces(kind, item)) for item in sorted(direct | moved))
        if any(replacing and item in direct for item, replacing in properties):
            replacement = "True"
        else:
            replacement = "Conditional" if any(replacing for _, replacing in properties) else "False"
        if replacement != "False":
            renewed.add(name)
        found[name] = Change("Modify", name, kind, replacement, properties)
    removed = [Change("Remove", name, item["Type"]) for name, item in before.items() if name not in new.resources]
    return (*found.values(), *reversed(removed))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    old, new = before.get("Properties", {}), after.get("Properties", {})
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def _referring(declared: Mapping[str, Any], names: set[str]) -> set[str]:
    return {name for name, value in declared.get("Properties", {}).items() if references(value) & names}


def _rest(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in declared.items() if key not in ("Properties", "Metadata")}
