"""The keys of a deployment's file, read from its models: path, type in plain words, default, meaning. Pure."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from rerank_infra.deployment import Deployment, Table

_WORDS: dict[Any, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that holds a value, not a table of other keys.

    Attributes:
        path: `scaling.schedules[].at`.
        type: what may be written, with its bounds, as `a whole number from 1 to 100`.
        default: TOML text; empty where there is none, `required` where the key has to be there.
        meaning: what it does, with its unit.
    """

    path: str
    type: str
    default: str
    meaning: str


def every(table: type[Table] = Deployment, prefix: str = "") -> Iterator[Key]:
    """All keys of `table` and of the tables in it, in the order they are written in."""
    for name, field in table.model_fields.items():
        inner = table_of(field.annotation)
        if inner is None:
            yield Key(prefix + name, words_of(field), _default(field), field.description or "")
        else:
            yield from every(inner, f"{prefix}{name}{'[]' if is_array(field.annotation) else ''}.")


def field_at(location: Sequence[str | int]) -> tuple[type[Table], FieldInfo | None]:
    """The table that the last name of `location` stands in, and its field; None where it has no such key."""
    table: type[Table] = Deployment
    field: FieldInfo | None = None
    for name in (part for part in location if isinstance(part, str)):
        if field is not None:
            inner = table_of(field.annotation)
            if inner is None:
                return table, field  # a name in settings or tags, or one that pydantic adds
            table = inner
        field = table.model_fields.get(name)
        if field is None:
            break
    return table, field


def table_of(annotation: Any) -> type[Table] | None:
    """The model of a table, or of the tables in an array."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return table_of(get_args(annotation)[0]) if is_array(annotation) else None


def is_array(annotation: Any) -> bool:
    """Whether TOML writes it in brackets."""
    return get_origin(annotation) is tuple


def words_of(field: FieldInfo) -> str:
    """What may be written, with bounds."""
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        more = [item for m in inner[1:] for item in (m.metadata if isinstance(m, FieldInfo) else [m])]
        return _words(inner[0], [*metadata, *more])
    if kind in (Union, UnionType):
        words = [_words(part, metadata) for part in inner if part is not NoneType]
        return " or ".join(words)
    if kind is Literal:
        return "one of " + ", ".join(json.dumps(value) for value in inner)
    if kind is tuple:
        return f"an array, each of it {_words(inner[0])}"
    if kind is dict:
        return f"a table, each value {_words(inner[1])}"
    if table_of(annotation):
        return "a table"
    return _WORDS[annotation] + _bounds(metadata)


def _bounds(metadata: Sequence[Any]) -> str:
    found = {
        name: value
        for item in metadata
        for name in ("ge", "gt", "le", "max_length")
        if (value := getattr(item, name, None)) is not None
    }
    least, above, most = found.get("ge"), found.get("gt"), found.get("le")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    parts = [f"above {above}" if above is not None else "", f"at least {least}" if least is not None else ""]
    parts += [f"at most {most}" if most is not None else ""]
    parts += [f"of at most {found['max_length']} characters" if "max_length" in found else ""]
    said = " and ".join(part for part in parts if part)
    return f" {said}" if said else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "" if field.default is None else json.dumps(field.default)


def markdown() -> str:
    """docs/reference/deployment.md's table."""
    rows = (f"| `{k.path}` | {k.type} | {_cell(k.default)} | {k.meaning} |" for k in every())
    return "\n".join(("| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows))


def _cell(default: str) -> str:
    return default if default in ("", "required") else f"`{default}`"
