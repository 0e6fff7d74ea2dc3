"""CloudFormation's own resource schemas, read from the copy inside cfn-lint (which moto's server extra brings).

They say which properties exist, which are required and which force a replacement:
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html. Only data files are read;
cfn-lint itself is not imported (that takes seconds).
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rerank_local.control.errors import ControlError, TemplateError

_REGION = "us-east-1"  # the region with every type; differences between regions do not matter here


class Schema:
    """The schema of one resource type."""

    def __init__(self, resource_type: str, document: Mapping[str, Any]) -> None:
        self.type = resource_type
        self._document = document
        self._create_only = frozenset(
            path.split("/")[2] for path in document.get("createOnlyProperties", []) if path.count("/") == 2
        )

    def replaces(self, property_name: str) -> bool:
        """Whether changing the top-level property means a new resource."""
        return property_name in self._create_only

    def checked(self, logical_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """`properties` with scalars in the schema's types ("30" → 30, "true" → True).

        Raises:
            TemplateError: an unknown property, or a required one is missing; names the resource and the path.
        """
        where = f"resource {logical_id} ({self.type})"
        result = self._walk(dict(properties), self._document, "", where)
        assert isinstance(result, dict)
        return result

    def _walk(self, value: Any, schema: Mapping[str, Any], path: str, where: str) -> Any:
        while "$ref" in schema:
            schema = self._definition(schema["$ref"])
        if isinstance(value, dict):
            return self._walk_object(value, schema, path, where)
        if isinstance(value, list):
            items = schema.get("items")
            if not isinstance(items, Mapping):
                return value
            return [self._walk(item, items, f"{path}/{index}", where) for index, item in enumerate(value)]
        return _scalar(value, schema.get("type"))

    def _walk_object(self, value: dict[str, Any], schema: Mapping[str, Any], path: str, where: str) -> dict[str, Any]:
        known = schema.get("properties")
        if not isinstance(known, Mapping) or not known:
            return value  # free-form: policies, environments, patternProperties
        if schema.get("additionalProperties") is False:
            patterns = schema.get("patternProperties")
            unknown = [] if patterns else sorted(set(value) - set(known))
            if unknown:
                raise TemplateError(f"Encountered unsupported property {path.lstrip('/')}/{unknown[0]} in {where}")
        if missing := sorted(set(schema.get("required", ())) - set(value)):
            raise TemplateError(f"Property {path.lstrip('/')}/{missing[0]} is required in {where}")
        return {
            key: self._walk(item, known[key], f"{path}/{key}", where) if key in known else item
            for key, item in value.items()
        }

    def _definition(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._document
        for step in reference.lstrip("#/").split("/"):
            found = found[step]
        assert isinstance(found, Mapping)
        return found


@lru_cache
def schema(resource_type: str) -> Schema | None:
    """The schema of a type; None when CloudFormation knows no such type (Custom:: types have none either)."""
    digest = _index().get(resource_type)
    if digest is None:
        return None
    document = json.loads((_folder() / "resources" / f"{digest}.json").read_text())
    return Schema(resource_type, document)


@lru_cache
def _index() -> dict[str, str]:
    path = _folder() / "providers" / f"{_REGION}.json"
    if not path.is_file():
        raise ControlError(f"cfn-lint's resource schemas are not where version 1.58 keeps them: {path}")
    index: dict[str, str] = json.loads(path.read_text())
    return index


@lru_cache
def _folder() -> Path:
    package = find_spec("cfnlint")
    if package is None or package.origin is None:
        raise ControlError("cfn-lint is not installed; the kit's extra `local` has it: pip install cfn-lint==1.58.0")
    return Path(package.origin).parent / "data" / "schemas"


def _scalar(value: Any, expected: Any) -> Any:
    kinds = [expected] if isinstance(expected, str) else list(expected or ())
    if isinstance(value, str) and "string" not in kinds:
        if "boolean" in kinds and value.lower() in ("true", "false"):
            return value.lower() == "true"
        for kind, convert in (("integer", int), ("number", float)):
            if kind in kinds:
                try:
                    return convert(value)
                except ValueError:
                    continue
    elif isinstance(value, (bool, int, float)) and kinds == ["string"]:
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
