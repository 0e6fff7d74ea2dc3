"""Reading the fields of a JSON object strictly: every fault is collected, nothing is dropped in silence.

A field that is absent and one that is null are the same: many clients send null for "not set". A boolean is no integer.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from rerank_engine.dialects.base import Path, invalid
from rerank_engine.errors import FieldError

_MOST_REPORTED = 20
_SHOWN_CHARACTERS = 100


class Fields:
    """One JSON object being read; `done()` raises what was wrong with it.

    Args:
        values: the object.
        at: where it stands in the payload.
        errors: where faults are noted; objects within one request share the list.
    """

    def __init__(self, values: Mapping[str, object], at: Path = (), errors: list[FieldError] | None = None) -> None:
        self.values = values
        self.at = at
        self.errors: list[FieldError] = [] if errors is None else errors

    def fault(self, field: Path, message: str, kind: str, value: object = None) -> None:
        """Note one fault; kinds are missing, type, value and unknown."""
        if len(self.errors) < _MOST_REPORTED:
            self.errors.append(FieldError(self.at + field, message, kind, shown(value)))

    def flag(self, *names: str, default: bool) -> bool:
        """A boolean under the first of its names."""
        value = self._aliased(names)
        if value is not None and not isinstance(value, bool):
            self.fault((self._present(names),), "must be true or false", "type", value)
        return value if isinstance(value, bool) else default

    def integer(self, *names: str, low: int) -> int | None:
        """A whole number, at least `low`, under the first of its names; None when not set. 3.0 is one, too."""
        value = self._aliased(names)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault((self._present(names),), "must be a whole number", "type", value)
        elif value < low:
            self.fault((self._present(names),), f"must be at least {low}", "value", value)
        else:
            return value
        return None

    def number(self, name: str) -> float | None:
        """A finite number; None when not set."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault((name,), "must be a number", "type", value)
            return None
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fault((name,), "must be a number that fits a double", "value", value)
            return None
        return number

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """One of several words."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            self.fault((name,), f"must be one of {', '.join(choices)}", "value", value)
            return default
        return value

    def strings(self, name: str) -> tuple[str, ...] | None:
        """A list of strings, not empty; None when not set."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            self.fault((name,), "must be a list of strings, not empty", "type", value)
            return None
        return tuple(value)

    def text(self, value: object, field: Path) -> str:
        """`value` as text: a string, or an object with a string under "text"; "" after a fault."""
        if isinstance(value, str):
            return value
        if isinstance(value, Mapping):
            inner = value.get("text")
            if isinstance(inner, str):
                return inner
            kind = "missing" if inner is None else "type"
            self.fault((*field, "text"), 'must be a string: this model reads {"text": "…"} only', kind, inner)
        elif value is None:
            self.fault(field, "is missing", "missing")
        else:
            self.fault(field, 'must be a string or {"text": "…"}', "type", value)
        return ""

    def plain(self, value: object, field: Path) -> str:
        """`value` as text that must be a string; "" after a fault."""
        if isinstance(value, str):
            return value
        if value is None:
            self.fault(field, "is missing", "missing")
        else:
            self.fault(field, "must be a string", "type", value)
        return ""

    def mark(self, *names: str) -> None:
        """Check values that are only given back or have no effect here: strings or numbers."""
        for name in names:
            value = self.values.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
                self.fault((name,), "must be a string or a number", "type", value)

    def refuse(self, name: str, message: str, *harmless: object) -> None:
        """Refuse a field that is known but cannot be served, unless its value is null or one that asks for nothing."""
        value = self.values.get(name)
        if value is not None and not any(type(value) is type(one) and value == one for one in harmless):
            self.fault((name,), message, "value", value)

    def unknown(self, accepted: Iterable[str], hints: Mapping[str, str] | None = None) -> None:
        """Refuse keys that the dialect does not have; `hints` say what to do about some.

        A misspelt `topn` that is ignored returns a plausible answer to another question; a 422 takes a minute to mend.
        """
        known = list(accepted)
        for name in self.values:
            if name not in known:
                hint = (hints or {}).get(name) or f"known are {', '.join(known)}"
                self.fault((name[:_SHOWN_CHARACTERS],), f"is not known; {hint}", "unknown")

    def done(self) -> None:
        """Raises InvalidRequest with every fault noted, if there are any."""
        if self.errors:
            raise invalid(self.errors)

    def _present(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if self.values.get(name) is not None), names[0])

    def _aliased(self, names: tuple[str, ...]) -> object:
        given = {name: self.values[name] for name in names if self.values.get(name) is not None}
        if len({repr(value) for value in given.values()}) > 1:
            self.fault((names[0],), f"contradicts {' and '.join(list(given)[1:])}", "value", self.values.get(names[0]))
        return next(iter(given.values()), None)


def shown(value: object) -> object:
    """A faulty value, short enough to send back."""
    if isinstance(value, str):
        return value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} keys"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return "a number of more than 128 bits"
    return value
