"""What pydantic finds wrong with a deployment's file, in the words of whoever wrote the TOML. Pure."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence

from pydantic_core import ErrorDetails

from rerank_infra import instance_list, keys
from rerank_infra.deployment import Deployment, Table
from rerank_infra.errors import Problem

_NOT = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", list: "an array"}
_PLAIN = {"string_type", "int_type", "float_type", "bool_type", "finite_number"}
_BOUNDS = {"greater_than", "greater_than_equal", "less_than_equal", "less_than"}
# key → a value that matches its pattern
_EXAMPLES = {
    "name": "rerank-search",
    "account": "111122223333",
    "region": "eu-central-1",
    "subnets": "subnet-0123456789abcdef0",
    "security_groups": "sg-0123456789abcdef0",
    "email": "oncall@example.com",
    "kms_key_arn": "arn:aws:kms:eu-central-1:111122223333:key/12345678-90ab-cdef-1234-567890abcdef",
    "topic_arn": "arn:aws:sns:eu-central-1:111122223333:oncall",
}

Location = tuple[str | int, ...]


def problems(errors: Iterable[ErrorDetails]) -> tuple[Problem, ...]:
    """One for each key: a value that fits none of several types is one mistake."""
    found = {problem.key: problem for problem in map(_problem, errors)}
    return tuple(found.values())


def _problem(item: ErrorDetails) -> Problem:
    kind, location = item["type"], _written(item["loc"])
    table, field = keys.field_at(location)
    key = _path(location)
    if kind == "extra_forbidden":
        return Problem(key, item["input"], "No such key.", _unknown(str(location[-1]), table))
    words = "a table" if field is None else keys.words_of(field)
    if kind == "missing":
        return Problem(key, None, "It is required.", f"Add it: {words}. infra/deployments/sandbox.toml has one.")
    value = item["input"]
    if kind in ("model_type", "dict_type"):
        inner = keys.table_of(field.annotation) if field is not None else Deployment
        message = f"It should be a table, not {_type_of(value)}."
        return Problem(key, value, message, _write_table(location, inner))
    if kind == "tuple_type":
        return Problem(key, value, f"It should be an array, not {_type_of(value)}.", _write_array(location, value))
    if kind in _PLAIN:
        return _plain(key, value, _one_of(words))
    return _out_of_bounds(item, key, location, _one_of(words))


def _out_of_bounds(item: ErrorDetails, key: str, location: Location, words: str) -> Problem:
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")]
        near = difflib.get_close_matches(str(value), choices, n=1)
        tip = f"Did you mean {json.dumps(near[0])}?" if near else f"Write {words}."
        return Problem(key, value, f"It should be {context['expected']}.", tip)
    if kind == "string_pattern_mismatch":
        named = next(str(part) for part in reversed(location) if isinstance(part, str))
        return Problem(key, value, "It does not read as it should.", f'As in "{_EXAMPLES[named]}".')
    if kind == "string_too_long":
        return Problem(key, value, f"It has more than {context['max_length']} characters.", "Shorten it.")
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "It should be")
    tip = "Correct it."
    if kind in _BOUNDS:
        tip = f"Write {words}."
    elif location[-1] == "instance_type" and (near := instance_list.nearest(f"ml.{str(value).removeprefix('ml.')}")):
        tip = f"Did you mean {' or '.join(near)}?"
    return Problem(key, value, f"{message[0].upper()}{message[1:]}.", tip)


def _plain(key: str, value: object, words: str) -> Problem:
    tip = f"Write {words}."
    if isinstance(value, str) and (unquoted := _unquoted(value)) is not None and "string" not in words:
        tip = f"Without the quotes: {unquoted}."
    elif words.startswith("a string") and isinstance(value, int | float):
        tip = f'In quotes: "{json.dumps(value)}".'
    elif isinstance(value, float) and value.is_integer() and words.startswith("a whole number"):
        tip = f"Without the fraction: {int(value)}."
    return Problem(key, value, f"It should be {words}, not {_type_of(value)}.", tip)


def _unquoted(value: str) -> str | None:
    """`value` as TOML writes it without quotes, if it is a number, true or false."""
    try:
        return json.dumps(found) if isinstance(found := json.loads(value), int | float) else None
    except ValueError:
        return None


def _unknown(name: str, table: type[Table]) -> str:
    known = sorted(table.model_fields)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    elsewhere = [key.path for key in keys.every() if key.path.split(".")[-1] == name and "." in key.path]
    hint = f" There is {' and '.join(elsewhere)}." if elsewhere else ""
    return f"Known here: {', '.join(known)}.{hint}"


def _write_table(location: Location, inner: type[Table] | None) -> str:
    names = [part for part in location if isinstance(part, str)]
    header = f"[[{'.'.join(names)}]]" if isinstance(location[-1], int) else f"[{'.'.join(names)}]"
    if inner is None:
        below = "RERANK_… = value" if names == ["settings"] else '"name" = "value"'
        return f"Write {header} on a line of its own, and below it lines such as {below}."
    return f"Write {header} on a line of its own, and its keys below it: {', '.join(sorted(inner.model_fields))}."


def _write_array(location: Location, value: object) -> str:
    _, field = keys.field_at(location)
    if field is not None and keys.table_of(field.annotation):
        return _write_table((*location, 0), keys.table_of(field.annotation))
    return (
        f"In brackets: {json.dumps([value], ensure_ascii=False)}."
        if isinstance(value, str)
        else "Write it in brackets."
    )


def _one_of(words: str) -> str:
    """Of an array or a table of values, the words of one value."""
    return words.split("each of it ")[-1].split("each value ")[-1]


def _type_of(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return "inf or nan"
    return _NOT.get(type(value), type(value).__name__)


def _written(location: Sequence[str | int]) -> Location:
    """`location` without what pydantic adds: the member of a union after a setting's name, [key] after a tag's."""
    if location and location[0] in ("settings", "tags"):
        return tuple(location[:2])
    return tuple(location)


def _path(location: Location) -> str:
    """`scaling.schedules[0].at` for ("scaling", "schedules", 0, "at")."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")
