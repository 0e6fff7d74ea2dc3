"""The reference of a deployment's keys: complete, current, and in units."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from rerank_infra import keys
from rerank_infra.deployment import Deployment, Table
from rerank_ops.readme import DEPLOYMENT, README, refreshed

UNITS = {
    "_seconds": "econds",
    "_minutes": "inutes",
    "_days": "ays",
    "_ms": "milliseconds",
    "_percent": "percent",
    "_mb": "MB",
    "_gb": "GB",
}


def fields(table: type[Table] = Deployment) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in table.model_fields.items():
        yield f"{table.__name__}.{name}", field
        inner = keys.table_of(field.annotation)
        if inner:
            yield from fields(inner)


def test_the_reference_is_current() -> None:
    """docs/reference/deployment.md lists the keys as they are; `python -m rerank_ops.readme` writes it anew."""
    text = DEPLOYMENT.read_text(encoding="utf-8")

    assert refreshed(text) == text
    assert keys.markdown() in text


def test_the_readme_leads_to_the_reference() -> None:
    """Whoever writes a deployment's file finds the page with its keys."""
    assert f"({DEPLOYMENT.relative_to(README.parent)})" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "field"), list(fields()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_key_has_a_meaning(name: str, field: FieldInfo) -> None:
    """Table or value, a key says what it does, in a sentence; a number says its unit."""
    meaning = field.description or ""

    assert meaning.endswith(".")
    assert all(unit in meaning for end, unit in UNITS.items() if name.endswith(end))


def test_a_row_has_path_type_default_and_meaning() -> None:
    """A few rows of each kind: bounds in the type, TOML in the default."""
    rows = {key.path: (key.type, key.default) for key in keys.every()}

    assert {
        "name": ("a string", "required"),
        "endpoint.name": ("a string of at most 63 characters", ""),
        "endpoint.volume_size_gb": ("a whole number from 1 to 512", ""),
        "scaling.max_instances": ("a whole number at most 1000", "2"),
        "scaling.metric": ('one of "concurrency", "invocations"', '"concurrency"'),
        "scaling.schedules[].min_instances": ("a whole number", "required"),
        "rollout.alarms": (
            'an array, each of it one of "errors_5xx", "errors_4xx", "latency"',
            '["errors_5xx", "errors_4xx", "latency"]',
        ),
        "alarms.gpu_memory_percent": ("a number above 0 and at most 100", "90.0"),
        "metrics.enhanced": ("true or false", "false"),
        "settings": ("a table, each value a string or a whole number or a number or true or false", "{}"),
    }.items() <= rows.items()


def test_defaults_are_toml() -> None:
    """A default can be copied into a file as it stands."""
    written = [key.default for key in keys.every() if key.default not in ("", "required")]
    read: list[Any] = [tomllib.loads(f"key = {default}")["key"] for default in written]

    assert len(written) == len(read) > 40


def test_the_reference_is_beside_the_readme() -> None:
    """The page is part of the repository, not of a build."""
    assert Path(__file__).parents[2] / "docs" / "reference" / "deployment.md" == DEPLOYMENT
