"""Checks a request against botocore's own service model: enumerations, lengths, ranges and patterns.

boto3 leaves these to the service and moto leaves most of them out. The instance types an endpoint may have come from
here too, so they are as current as the installed botocore. Pure.
"""

import re
from functools import lru_cache
from typing import Any


def violations(shape: Any, value: Any, path: str = "") -> list[str]:
    """What is wrong with `value` for a botocore shape, in the service's own words; empty when nothing is."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return [
            problem
            for name, item in value.items()
            if name in shape.members and item is not None
            for problem in violations(shape.members[name], item, _join(path, name))
        ]
    if kind == "list" and isinstance(value, list):
        return _sized(shape, value, path) + [
            problem
            for index, item in enumerate(value, start=1)
            for problem in violations(shape.member, item, f"{path}.{index}.member")
        ]
    if kind == "map" and isinstance(value, dict):
        return _sized(shape, value, path) + [
            problem for key, item in value.items() for problem in violations(shape.value, item, f"{path}.{key}.member")
        ]
    if kind == "string" and isinstance(value, str):
        return _sized(shape, value, path) + _texts(shape, value, path)
    if kind in ("integer", "long", "float", "double") and isinstance(value, (int, float)):
        return _ranged(shape, value, path)
    return []


def validate(shape: Any, request: dict[str, Any]) -> str | None:
    """The message of AWS's ValidationException for a request, or None when it is fine."""
    found = violations(shape, request)
    if not found:
        return None
    plural = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {plural} detected: {'; '.join(found)}"


def _sized(shape: Any, value: Any, path: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        return [_failed(value, path, f"Member must have length greater than or equal to {low}")]
    if high is not None and len(value) > high:
        return [_failed(value, path, f"Member must have length less than or equal to {high}")]
    return []


def _ranged(shape: Any, value: float, path: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        return [_failed(value, path, f"Member must have value greater than or equal to {low}")]
    if high is not None and value > high:
        return [_failed(value, path, f"Member must have value less than or equal to {high}")]
    return []


def _texts(shape: Any, value: str, path: str) -> list[str]:
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        return [_failed(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")]
    pattern = shape.metadata.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled is not None and not compiled.fullmatch(value):
        return [_failed(value, path, f"Member must satisfy regular expression pattern: {pattern}")]
    return []


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:  # Java's dialect, e.g. \p{L}
        return None


def _failed(value: Any, path: str, rule: str) -> str:
    shown = str(value) if len(str(value)) <= 100 else f"{str(value)[:100]}…"
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {rule}"


def _join(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name
