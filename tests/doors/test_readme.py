"""What the README says of formats, errors and metrics is what the code does."""

import re
from collections.abc import Iterator
from pathlib import Path

from rerank_engine.dialects import DIALECTS
from rerank_engine.errors import CheckpointError, RequestError, RerankError, SettingsError, Unavailable
from rerank_engine.server.http import MethodNotAllowed, NotFound
from rerank_engine.service.exchange import MOST_ERROR_BYTES
from rerank_engine.telemetry.emf import UNITS
from rerank_engine.telemetry.telemetry import Telemetry

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def kinds(error: type[RerankError]) -> Iterator[type[RerankError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def test_every_format_has_its_example() -> None:
    """Word for word the one that a 422 shows."""
    rows = re.findall(r"^\| `(\{.*?\})` \|", section("Request formats"), re.MULTILINE)

    assert {dialect.example for dialect in DIALECTS} == set(rows)


def test_every_error_is_in_the_table() -> None:
    """By status and code; what is raised at start only, and what is never raised itself, is not."""
    rows = re.findall(r"^\| (\d[\d, ]*) \| (.*?) \|", section("Errors"), re.MULTILINE)
    told = {
        (int(status), code)
        for statuses, codes in rows
        for status, code in zip(
            statuses.split(", ") * (1 if "," in statuses else 9), re.findall(r"`(\w+)`", codes), strict=False
        )
    }
    elsewhere = {SettingsError, CheckpointError, RequestError, Unavailable}
    ours = {kind for kind in kinds(RerankError) if kind.__module__.startswith("rerank_engine")}

    assert {NotFound, MethodNotAllowed} < ours
    assert {(kind.status, kind.code) for kind in ours - elsewhere} == told
    assert f"{MOST_ERROR_BYTES:,} bytes" in section("Errors")


def test_every_metric_is_named() -> None:
    """Those of CloudWatch one by one; of Prometheus' those that are named exist."""
    text = section("Watching it")
    page = Telemetry().page().decode()

    assert [] == [name for name in UNITS if f"`{name}`" not in text]
    assert [] == [name for name in re.findall(r"`(rerank_\w+_total)", text) if name not in page]
