"""A parsed template: its sections, what refers to what, and an order in which things exist before they are needed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from rerank_local.control.errors import TemplateError
from rerank_local.control.intrinsics import _PLACEHOLDER

IGNORED_TYPES = frozenset({"AWS::CDK::Metadata"})  # CDK's own usage record: creates nothing anywhere
_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Hooks",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    }
)


@dataclass(frozen=True, slots=True)
class Template:
    """Sections of a template; `body` is the text it was parsed from."""

    body: str
    resources: dict[str, dict[str, Any]]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)
    mappings: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    description: str | None = None

    def same_as(self, other: "Template") -> bool:
        """Whether both say the same, however their texts are laid out."""
        return replace(self, body="") == replace(other, body="")


def parse(body: str) -> Template:
    """A template from JSON or YAML text.

    Raises:
        TemplateError: not a template, an unknown section, a macro, or a reference to nothing.
    """
    document = _load(body)
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict) or not document["Resources"]:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    if unknown := sorted(set(document) - _SECTIONS):
        raise TemplateError(f"Invalid template property or properties {unknown}")
    if "Transform" in document:
        raise TemplateError(f"Transform {document['Transform']} is not carried out by the AWS on this machine")
    resources = {name: item for name, item in document["Resources"].items() if item.get("Type") not in IGNORED_TYPES}
    if untyped := [name for name, item in resources.items() if "Type" not in item]:
        raise TemplateError(f"Template format error: Resource {untyped[0]} has no Type.")
    template = Template(
        body=body,
        resources=resources,
        **{name: document.get(name.capitalize()) or {} for name in _DICTIONARIES},
        description=document.get("Description"),
    )
    creation_order(template)
    return template


_DICTIONARIES = ("parameters", "conditions", "mappings", "outputs", "rules")


def references(value: Any) -> set[str]:
    """Names that `value` refers to by Ref, Fn::GetAtt or Fn::Sub (resources, parameters and pseudo parameters)."""
    return set(_references(value))


def dependencies(resource: dict[str, Any]) -> set[str]:
    """Names that must exist before `resource`: what it refers to, and DependsOn."""
    explicit = resource.get("DependsOn", [])
    return references(resource.get("Properties", {})) | set([explicit] if isinstance(explicit, str) else explicit)


def creation_order(template: Template) -> list[str]:
    """Logical ids so that each comes after everything it depends on; otherwise the template's own order.

    Raises:
        TemplateError: a cycle, or a reference to something that is neither resource, parameter nor pseudo parameter.
    """
    order: list[str] = []
    state: dict[str, bool] = {}  # False while its dependencies are being visited

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) is False:
            cycle = ", ".join((*path[path.index(name) :],))
            raise TemplateError(f"Circular dependency between resources: [{cycle}]")
        if name in state:
            return
        state[name] = False
        for needed in sorted(dependencies(template.resources[name])):
            if needed in template.resources:
                visit(needed, (*path, name))
            elif needed not in template.parameters and not needed.startswith("AWS::"):
                raise TemplateError(
                    f"Template format error: Unresolved resource dependencies [{needed}] in the Resources block "
                    f"of the template (resource {name})"
                )
        state[name] = True
        order.append(name)

    for name in template.resources:
        visit(name, ())
    return order


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref":
                yield argument
                return
            if name == "Fn::GetAtt":
                yield argument.split(".", 1)[0] if isinstance(argument, str) else argument[0]
                return
            if name == "Fn::Sub":
                yield from _sub_references(argument)
                return
        for item in value.values():
            yield from _references(item)


def _sub_references(argument: Any) -> Iterator[str]:
    text, values = (argument, {}) if isinstance(argument, str) else argument
    for literal, name in _PLACEHOLDER.findall(text):
        if not literal and name.strip() not in values:
            yield name.strip().split(".", 1)[0]
    yield from _references(values)


def _load(body: str) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        pass
    try:
        return yaml.load(body, Loader=_Loader)  # noqa: S506 - a SafeLoader with CloudFormation's own tags
    except yaml.YAMLError as error:
        raise TemplateError(f"Template format error: {error}") from error


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short forms: !Ref, !GetAtt A.b, !Sub …; dates stay text."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
