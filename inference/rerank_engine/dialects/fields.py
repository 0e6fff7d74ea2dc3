"""Reading the fields of a JSON object strictly: every fault is collected, nothing is dropped in silence.

A field that is absent and one that is null are the same: many clients send null for "not set". A boolean is no integer.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from rerank_engine.errors import FieldError, InvalidRequest

_MOST_REPORTED = 20
_SHOWN_CHARACTERS = 100


class Fields:
    """One JSON object being read; `done()` raises what was wrong with it."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self.errors: list[FieldError] = []

    def fault(self, field: tuple[str | int, ...], message: str, kind: str, value: object = None) -> None:
        """Note one fault; kinds are missing, type, value and unknown."""
        if len(self.errors) < _MOST_REPORTED:
            self.errors.append(FieldError(field, message, kind, shown(value)))

    def flag(self, *names: str, default: bool) -> bool:
        """A boolean under the first of its names."""
        value = self._aliased(names)
        if value is not None and not isinstance(value, bool):
            self.fault((self._present(names),), "must be true or false", "type", value)
        return value if isinstance(value, bool) else default

    def integer(self, *names: str, low: int) -> int | None:
        """A whole number, at least `low`, under the first of its names; None when not set."""
        value = self._aliased(names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault((self._present(names),), "must be a whole number", "type", value)
        elif value < low:
            self.fault((self._present(names),), f"must be at least {low}", "value", value)
        else:
            return value
        return None

    def text(self, value: object, field: tuple[str | int, ...]) -> str:
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

    def unknown(self, accepted: Iterable[str]) -> None:
        """Refuse keys that the dialect does not have.

        A misspelt `topn` that is ignored returns a plausible answer to another question; a 422 takes a minute to mend.
        """
        known = list(accepted)
        for name in self.values:
            if name not in known:
                self.fault((name[:_SHOWN_CHARACTERS],), f"is not known; known are {', '.join(known)}", "unknown")

    def done(self) -> None:
        """Raises InvalidRequest with every fault noted, if there are any."""
        if self.errors:
            faults = "; ".join(f"{path(error.field)} {error.message}" for error in self.errors)
            raise InvalidRequest(faults + ".", fields=tuple(self.errors))

    def _present(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if self.values.get(name) is not None), names[0])

    def _aliased(self, names: tuple[str, ...]) -> object:
        given = {name: self.values[name] for name in names if self.values.get(name) is not None}
        if len({repr(value) for value in given.values()}) > 1:
            self.fault((names[0],), f"contradicts {' and '.join(list(given)[1:])}", "value", self.values.get(names[0]))
        return next(iter(given.values()), None)


def path(field: tuple[str | int, ...]) -> str:
    """`("documents", 3, "text")` as `'documents'[3]['text']` would be said: `'documents.3.text'`."""
    return repr(".".join(str(part) for part in field))


def shown(value: object) -> object:
    """A faulty value, short enough to send back."""
    if isinstance(value, str):
        return value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
    if isinstance(value, list):
        return f"a list of {len(cast(list[object], value))}"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} keys"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return "a number of more than 128 bits"
    return value
