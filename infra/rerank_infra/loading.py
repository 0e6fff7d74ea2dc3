"""From a name on the command line to a validated Deployment."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rerank_infra import rules, wording
from rerank_infra.deployment import Deployment
from rerank_infra.errors import ConfigError, Problem


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
        raise ConfigError(source, tip="", problems=wording.problems(error.errors())) from None
    found = rules.problems(deployment)
    if found:
        raise ConfigError(source, tip="", problems=found)
    return deployment
