"""SageMaker's subset of JSONPath, for InputFilter and OutputFilter. Pure.

| written | means |
|---|---|
| `$` | the record |
| `.name`, `['name']` | an attribute |
| `['a','b']` | an object of these attributes (those that are there) |
| `[1]`, `[-1]`, `[0,5]` | elements by position; one that is not there is an error |
| `[2:5]`, `[:5]`, `[2:]`, `[0,5:]` | a range, at most one to a bracket; an empty one is an error |
| `*`, `[*]` | all attributes or elements |

Source: the SageMaker developer guide, "Associate prediction results with input records", whose subset is cut from
https://github.com/json-path/JsonPath. A library of full JSONPath would accept here what AWS then refuses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rerank_local.data.errors import BadFilter

MAX_CHARACTERS = 63
_STEP = re.compile(
    r"\.?(?P<names>\[\s*(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(?:\s*,\s*(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))*\s*\])"
    r"|\.?\[(?P<positions>[-\d:,\s]+)\]"
    r"|(?P<all>\.\*|\.?\[\s*\*\s*\])"
    r"|\.(?P<name>[^.\[\]\s()'\"?@*]+)"
)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_RANGE = re.compile(r"(-?\d*)\s*:\s*(-?\d*)")


@dataclass(frozen=True, slots=True)
class Names:
    """One or more attributes of an object."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Positions:
    """Elements of an array: positions and at most one range."""

    items: tuple[int | slice, ...]

    @property
    def single(self) -> bool:
        """Whether it names exactly one element."""
        return len(self.items) == 1 and isinstance(self.items[0], int)


@dataclass(frozen=True, slots=True)
class Everything:
    """All attributes or elements."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path; `select` applies it."""

    text: str
    steps: tuple[Names | Positions | Everything, ...]

    @property
    def whole(self) -> bool:
        """Whether it is `$`, which changes nothing."""
        return not self.steps

    @property
    def positional(self) -> bool:
        """Whether it uses positions only, as rows of CSV need."""
        return not any(isinstance(step, Names) for step in self.steps)

    def select(self, root: Any) -> Any:
        """The part of `root` that the path names: a value, or a list of values for ranges and wildcards.

        Raises:
            BadFilter: an attribute or element that the path names is not there.
        """
        values, definite = [root], True
        for number, step in enumerate(self.steps, 1):
            values = [found for value in values for found in self._step(step, value, definite, number)]
            definite = definite and self._keeps_one(step, number)
        return values[0] if definite else values

    def _keeps_one(self, step: Names | Positions | Everything, number: int) -> bool:
        if isinstance(step, Names):  # several names make one object, if nothing follows
            return len(step.names) == 1 or number == len(self.steps)
        return isinstance(step, Positions) and step.single

    def _step(self, step: Names | Positions | Everything, value: Any, definite: bool, number: int) -> list[Any]:
        if isinstance(step, Everything):
            if isinstance(value, (dict, list)):
                return list(value.values() if isinstance(value, dict) else value)
            return self._absent(definite, f"* needs an object or array, not {value!r}")
        if isinstance(step, Positions):
            if not isinstance(value, list):
                return self._absent(definite, f"a position needs an array, not {value!r}")
            return list(self._elements(step, value))
        if not isinstance(value, dict):
            return self._absent(definite, f"attribute {step.names[0]!r} needs an object, not {value!r}")
        there = {name: value[name] for name in step.names if name in value}
        if len(step.names) > 1:
            return [there] if number == len(self.steps) else list(there.values())
        return list(there.values()) or self._absent(definite, f"the record has no attribute {step.names[0]!r}")

    def _elements(self, step: Positions, value: list[Any]) -> Iterator[Any]:
        for item in step.items:
            if isinstance(item, slice):
                if not value[item]:
                    raise BadFilter(f"{self.text!r}: the range is empty, the array has {len(value)} elements.")
                yield from value[item]
            elif -len(value) <= item < len(value):
                yield value[item]
            else:
                raise BadFilter(f"{self.text!r}: there is no element {item}, the array has {len(value)} elements.")

    def _absent(self, definite: bool, why: str) -> list[Any]:
        if definite:
            raise BadFilter(f"{self.text!r}: {why if len(why) < 200 else why[:200] + '…'}.")
        return []  # behind a wildcard or range, what does not fit is left out


def parse(text: str) -> JsonPath:
    """The path written as `text`; empty text is `$`.

    Raises:
        BadFilter: longer than 63 characters, or not in SageMaker's subset.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadFilter(f"The filter {text!r} has {len(text)} characters; SageMaker takes {MAX_CHARACTERS}.")
    text = text.strip() or "$"
    if not text.startswith("$"):
        raise BadFilter(f"The filter {text!r} does not start with $.", tip="Write it as $.name, $['a','b'] or $[0,5:].")
    steps: list[Names | Positions | Everything] = []
    at = 1
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise BadFilter(
                f"The filter {text!r} is not in SageMaker's JSONPath subset, from {text[at:]!r} on.",
                tip="Known: $ .name ['a','b'] [0,5] [2:5] *. Filters ?(), functions and .. are not.",
            )
        steps.append(_parsed(found, text))
        at = found.end()
    return JsonPath(text, tuple(steps))


def _parsed(found: re.Match[str], text: str) -> Names | Positions | Everything:
    if found["name"]:
        return Names((found["name"],))
    if found["all"]:
        return Everything()
    if found["names"]:
        quoted = ((single or double) for single, double in _QUOTED.findall(found["names"]))
        return Names(tuple(re.sub(r"\\(.)", r"\1", name) for name in quoted))
    items = tuple(_position(part.strip(), text) for part in found["positions"].split(","))
    if sum(isinstance(item, slice) for item in items) > 1:
        # AWS's words (aws/sagemaker-python-sdk issue 1112)
        raise BadFilter(
            f"Invalid JsonPath: {text}: only single range filters of format (eg: [1:5]) are supported. "
            f"Format {found[0]} is not supported."
        )
    return Positions(items)


def _position(part: str, text: str) -> int | slice:
    span = _RANGE.fullmatch(part)
    if span:
        start, end = (int(side) if side not in ("", "-") else None for side in span.groups())
        return slice(start, end)
    try:
        return int(part)
    except ValueError:
        raise BadFilter(f"The filter {text!r} has {part!r} where a position or range should be.") from None
