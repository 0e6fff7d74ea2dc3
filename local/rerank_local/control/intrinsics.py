"""CloudFormation's intrinsic functions, resolved against a `Scope`. Pure: no moto, no AWS.

Strict where moto is lenient: an unknown function, reference or attribute is an error, never a value that slips through.
Functions: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rerank_local.control.errors import TemplateError, Unsupported

NO_VALUE = object()  # AWS::NoValue: the key or list item that holds it is left out

_PLACEHOLDER = re.compile(r"\$\{(!?)([^${}]*)\}")
_DYNAMIC = re.compile(r"\{\{resolve:([a-z-]+):([^}]*)\}\}")


class Scope(Protocol):
    """What an intrinsic may ask for."""

    region: str

    def ref(self, name: str) -> Any:
        """Value of a parameter, pseudo parameter or resource; TemplateError when there is none."""

    def attribute(self, name: str, attribute: str) -> Any:
        """`Fn::GetAtt`; TemplateError when the resource has no such attribute."""

    def condition(self, name: str) -> bool:
        """A named condition."""

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A table of the Mappings section."""

    def exported(self, name: str) -> str:
        """`Fn::ImportValue`."""

    def parameter_store(self, name: str) -> str:
        """`{{resolve:ssm:name}}`."""


def resolve(value: Any, scope: Scope) -> Any:
    """`value` with every intrinsic replaced; keys and items that resolve to AWS::NoValue are left out."""
    if isinstance(value, dict):
        name = _function(value)
        if name is not None:
            return _FUNCTIONS[name](value[name], scope)
        resolved = {key: resolve(item, scope) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}
    if isinstance(value, list):
        return [item for item in (resolve(item, scope) for item in value) if item is not NO_VALUE]
    if isinstance(value, str):
        return _DYNAMIC.sub(lambda match: _dynamic(match, scope), value)
    return value


def holds(condition: Any, scope: Scope) -> bool:
    """Truth of an expression of the Conditions or Rules section."""
    if isinstance(condition, dict) and len(condition) == 1:
        (name, argument), *_ = condition.items()
        if name in _PREDICATES:
            return _PREDICATES[name](argument, scope)
    outcome = resolve(condition, scope)
    if isinstance(outcome, bool):
        return outcome
    raise TemplateError(f"Template error: {condition!r} is not a condition")


def _function(value: dict[str, Any]) -> str | None:
    if len(value) != 1:
        return None
    (name,) = value
    if name in _FUNCTIONS:
        return str(name)
    if isinstance(name, str) and name.startswith("Fn::"):
        raise Unsupported(f"The intrinsic function {name} is not carried out by the AWS on this machine")
    return None


def _get_att(argument: Any, scope: Scope) -> Any:
    name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return scope.attribute(name, str(resolve(attribute, scope)))


def _join(argument: Any, scope: Scope) -> str:
    separator, items = argument
    return str(separator).join(_text(item) for item in resolve(items, scope))


def _split(argument: Any, scope: Scope) -> list[str]:
    separator, text = argument
    return _text(resolve(text, scope)).split(separator)


def _select(argument: Any, scope: Scope) -> Any:
    index, items = int(resolve(argument[0], scope)), resolve(argument[1], scope)
    if not 0 <= index < len(items):
        raise TemplateError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[index]


def _sub(argument: Any, scope: Scope) -> str:
    text, values = (argument, {}) if isinstance(argument, str) else argument

    def replace(match: re.Match[str]) -> str:
        literal, name = match[1], match[2].strip()
        if literal:
            return "${" + name + "}"
        if name in values:
            return _text(resolve(values[name], scope))
        return _text(_get_att(name, scope) if "." in name else scope.ref(name))

    return str(resolve(_PLACEHOLDER.sub(replace, text), scope))


def _if(argument: Any, scope: Scope) -> Any:
    condition, when_true, when_false = argument
    return resolve(when_true if scope.condition(condition) else when_false, scope)


def _find_in_map(argument: Any, scope: Scope) -> Any:
    table, first, second, *options = argument
    keys = [_text(resolve(first, scope)), _text(resolve(second, scope))]
    found: Any = scope.mapping(_text(resolve(table, scope)))
    for key in keys:
        if key not in found:
            if options and "DefaultValue" in options[0]:
                return resolve(options[0]["DefaultValue"], scope)
            raise TemplateError(f"Template error: Unable to get mapping for {table}::{keys[0]}::{keys[1]}")
        found = found[key]
    return found


def _availability_zones(argument: Any, scope: Scope) -> list[str]:
    region = resolve(argument, scope) or scope.region
    return [f"{region}{letter}" for letter in "abc"]


def _dynamic(match: re.Match[str], scope: Scope) -> str:
    service, name = match[1], match[2]
    if service != "ssm":
        raise Unsupported(f"The dynamic reference {match[0]} is not carried out by the AWS on this machine")
    return scope.parameter_store(name.rsplit(":", 1)[0] if re.search(r":\d+$", name) else name)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise TemplateError(f"Template error: expected a string, got {value!r}")
    return str(value)


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = (resolve(side, scope) for side in argument)
    return left == right or (not isinstance(left, (dict, list)) and _text(left) == _text(right))


def _contains(argument: Any, scope: Scope) -> bool:
    items, wanted = (resolve(side, scope) for side in argument)
    return _text(wanted) in [_text(item) for item in items]


_FUNCTIONS: dict[str, Callable[[Any, Scope], Any]] = {
    "Ref": lambda argument, scope: scope.ref(argument),
    "Fn::GetAtt": _get_att,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::Sub": _sub,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": lambda argument, scope: scope.exported(_text(resolve(argument, scope))),
    "Fn::GetAZs": _availability_zones,
    "Fn::Base64": lambda argument, scope: base64.b64encode(_text(resolve(argument, scope)).encode()).decode(),
    "Fn::ToJsonString": lambda argument, scope: json.dumps(resolve(argument, scope), separators=(",", ":")),
    "Fn::Length": lambda argument, scope: len(resolve(argument, scope)),
}

_PREDICATES: dict[str, Callable[[Any, Scope], bool]] = {
    "Condition": lambda argument, scope: scope.condition(argument),
    "Fn::Equals": _equals,
    "Fn::Not": lambda argument, scope: not holds(argument[0], scope),
    "Fn::And": lambda argument, scope: all(holds(item, scope) for item in argument),
    "Fn::Or": lambda argument, scope: any(holds(item, scope) for item in argument),
    "Fn::Contains": _contains,
}
