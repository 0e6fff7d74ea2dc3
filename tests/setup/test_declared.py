"""What each room imports is asked for by an extra of that room, and not left to come with something else."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = {
    "inference": ["serve", "otel"],
    "packaging": ["package"],
    "infra": ["infra"],
    "client": ["client"],
    "local": ["local"],
    "training": ["teacher"],
    "scripts": ["bench"],
    "tests": ["dev", "fuzz"],
}
# The distribution of a module whose name differs in more than `_` for `-`.
DISTRIBUTIONS = {"aws_cdk": "aws-cdk-lib", "cfnlint": "cfn-lint", "Stemmer": "PyStemmer", "yaml": "PyYAML"}
OPENTELEMETRY = "opentelemetry-sdk"  # modules of one namespace from two distributions
BESIDE = {
    "inference": {"triton", "flash-attn"},  # on GPUs: triton comes with torch, flash-attn with AWS's container
    "infra": {"pydantic-core"},  # the types of pydantic's errors: pydantic asks for exactly one version of it
    "packaging": {"hatchling"},  # imported by the wheel's build alone, which [build-system] asks for
}
OWN = "sagemaker-rerank-kit"


def asked_for(extra: str) -> Iterator[str]:
    """Canonical names of what an extra brings, the kit's own extras followed."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for requirement in map(Requirement, extras[extra]):
        if canonicalize_name(requirement.name) == OWN:
            for other in requirement.extras:
                yield from asked_for(other)
        else:
            yield canonicalize_name(requirement.name)


def imported(room: str) -> set[str]:
    """Top-level names of all modules that a room's files import, wherever the import stands."""
    found: set[str] = set()
    for path in (ROOT / room).rglob("*.py"):
        if "cdk.out" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def distribution(module: str) -> str:
    name = OPENTELEMETRY if module == "opentelemetry" else DISTRIBUTIONS.get(module, module)
    return canonicalize_name(name)


@pytest.mark.parametrize("room", EXTRAS)
def test_every_import_is_declared(room: str) -> None:
    """In an extra of the room that imports."""
    own = {"inference", "serve", "tests"} | {path.name for path in ROOT.glob("*/rerank_*")}
    declared = {name for extra in EXTRAS[room] for name in asked_for(extra)} | BESIDE.get(room, set())
    third = {name for name in imported(room) if name not in sys.stdlib_module_names and name not in own}

    assert set() == {name for name in third if distribution(name) not in declared}
