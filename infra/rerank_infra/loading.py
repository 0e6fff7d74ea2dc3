"""From a name on the command line to a validated Deployment."""

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from rerank_infra import rules
from rerank_infra.deployment import Deployment
from rerank_infra.errors import ConfigError, Problem

_TIPS = {
    "extra_forbidden": "Remove it, or correct its name.",
    "missing": "Add it.",
    "greater_than_equal": "Raise it.",
    "less_than_equal": "Lower it.",
}
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


def find(name: str, folder: Path) -> Path:
    """The file of the deployment called `name`; a path that ends in .toml stands for itself.

    Raises:
        ConfigError: there is no such file.
    """
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml"))) or "none"
        raise ConfigError(
            f"There is no deployment {name!r}: {path} does not exist.",
            tip=f"Choose with -c deployment=NAME; known: {known}. A copy of sandbox.toml starts a new one.",
        )
    return path


def load(path: Path) -> Deployment:
    """The deployment in `path`.

    Raises:
        ConfigError: the file is not TOML, or keys are unknown, out of bounds or contradict each other. All of them
            are named at once, each with its value and what to do.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        tip = "The message names line and column; the file has to be UTF-8."
        raise ConfigError(f"{path} is not a TOML file: {error}.", tip=tip) from None
    deployment = validate(tables, source=path.name)
    if deployment.name != path.stem:
        # A copied file with the old name in it would quietly update the old deployment.
        problem = Problem("name", deployment.name, f"The file is called {path.name}.", f'Write name = "{path.stem}".')
        raise ConfigError(path.name, tip=problem.tip, problems=(problem,))
    return deployment


def validate(tables: Mapping[str, Any], *, source: str) -> Deployment:
    """Tables as TOML has them, as a Deployment; `source` is named in errors.

    Raises:
        ConfigError: see `load`.
    """
    try:
        # Through JSON, strictly: arrays become tuples, and "2" never passes for 2.
        deployment = Deployment.model_validate_json(json.dumps(tables, default=str), strict=True)
    except ValidationError as error:
        found = tuple(_problem(dict(item)) for item in error.errors())
        raise ConfigError(source, tip="", problems=found) from None
    found = rules.problems(deployment)
    if found:
        raise ConfigError(source, tip="", problems=found)
    return deployment


def _problem(item: Mapping[str, Any]) -> Problem:
    kind, location = item["type"], item["loc"]
    value = None if kind == "missing" else item["input"]
    if kind == "extra_forbidden":
        known = _keys_beside(location)
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        tip = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
        return Problem(_path(location), value, "No such key.", tip)
    if kind == "missing":
        return Problem(_path(location), value, "It is required.", "Add it; infra/deployments/sandbox.toml has one.")
    if kind == "string_pattern_mismatch":
        named = next(str(part) for part in reversed(location) if isinstance(part, str))
        return Problem(_path(location), value, "It does not read as it should.", f'As in "{_EXAMPLES[named]}".')
    message = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "It should be")
    return Problem(_path(location), value, f"{message[0].upper()}{message[1:]}.", _TIPS.get(kind, "Correct it."))


def _path(location: tuple[str | int, ...]) -> str:
    """`scaling.schedules[0].at` for ("scaling", "schedules", 0, "at")."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")


def _keys_beside(location: tuple[str | int, ...]) -> list[str]:
    table: Any = Deployment
    for part in location[:-1]:
        if isinstance(part, str):
            table = table.model_fields[part].annotation
            inner = getattr(table, "__args__", ())
            table = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), table)
    return sorted(table.model_fields)
