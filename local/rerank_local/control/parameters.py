"""Parameters of a stack: what was given, what that resolves to, and whether the template's rules accept it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rerank_local.control.errors import TemplateError
from rerank_local.control.intrinsics import Scope, holds
from rerank_local.control.template import Template

_SSM_TYPE = re.compile(r"AWS::SSM::Parameter::Value<(.*)>")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Attributes:
    given: name → text as it was passed, or the default; kept for UsePreviousValue.
    values: name → what Ref returns.
    """

    given: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def described(self, template: Template) -> list[dict[str, str]]:
        """As DescribeStacks lists them."""
        described = []
        for name, text in self.given.items():
            declared = template.parameters.get(name, {})
            hidden = str(declared.get("NoEcho", False)).lower() == "true"
            entry = {"ParameterKey": name, "ParameterValue": "****" if hidden else text}
            if _SSM_TYPE.match(declared.get("Type", "")):
                entry["ResolvedValue"] = _listed(self.values[name])
            described.append(entry)
        return described


def settle(
    template: Template,
    passed: Sequence[Mapping[str, Any]],
    previous: Mapping[str, str],
    ssm: Callable[[str], str],
) -> Parameters:
    """Parameters of `template` from those of an API call (`ParameterKey` with `ParameterValue` or `UsePreviousValue`).

    Raises:
        TemplateError: an unknown parameter, one without value, or a value that its declaration does not allow.
    """
    given: dict[str, str] = {}
    for item in passed:
        name = item["ParameterKey"]
        if name not in template.parameters:
            raise TemplateError(f"Parameters: [{name}] do not exist in the template")
        if str(item.get("UsePreviousValue", False)).lower() == "true":
            if name not in previous:
                raise TemplateError(f"Invalid input for parameter key {name}. There is no previous value to use")
            given[name] = previous[name]
        else:
            given[name] = str(item.get("ParameterValue", ""))
    for name, declared in template.parameters.items():
        if name not in given and "Default" in declared:
            given[name] = _listed(declared["Default"])
    if missing := sorted(set(template.parameters) - set(given)):
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return Parameters(given, {name: _value(name, template.parameters[name], given[name], ssm) for name in given})


def check_rules(template: Template, scope: Scope) -> None:
    """Evaluates the Rules section.

    Raises:
        TemplateError: an assertion does not hold; its description.
    """
    for name, rule in template.rules.items():
        if "RuleCondition" in rule and not holds(rule["RuleCondition"], scope):
            continue
        for assertion in rule.get("Assertions", []):
            if not holds(assertion["Assert"], scope):
                raise TemplateError(f"Rule {name}: {assertion.get('AssertDescription', assertion['Assert'])}")


def _value(name: str, declared: Mapping[str, Any], text: str, ssm: Callable[[str], str]) -> Any:
    kind = str(declared.get("Type", "String"))
    allowed = [str(item) for item in declared.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise TemplateError(f"Parameter '{name}' must be one of AllowedValues")
    pattern = declared.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, text):
        raise TemplateError(f"Parameter {name} failed to satisfy constraint: must match pattern {pattern}")
    if stored := _SSM_TYPE.match(kind):
        kind, text = stored[1], ssm(text)
    if kind == "Number" and not re.fullmatch(r"[+-]?\d+(\.\d+)?", text):
        raise TemplateError(f"Parameter '{name}' must be a number, got {text!r}")
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [item.strip() for item in text.split(",")] if text else []
    return text


def _listed(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
