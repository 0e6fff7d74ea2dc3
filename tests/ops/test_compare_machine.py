"""`rerank compare`: what it says of the machine, and of memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rerank_ops.comparison import machine
from rerank_ops.comparison.worker import peak_memory_bytes


@pytest.mark.parametrize(
    ("status", "peak"),
    [("Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t  512 kB\nVmRSS:\t 100 kB\n", 512 * 1024), ("Name:\tpython\n", None)],
)
def test_peak_memory_is_the_programs_own(status: str, peak: int | None, tmp_path: Path) -> None:
    """Linux's high-water mark, which a child does not inherit."""
    (tmp_path / "status").write_text(status)

    assert peak == peak_memory_bytes(tmp_path / "status")
    assert (peak_memory_bytes(tmp_path / "absent") or 1) > 0


def test_the_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its processor, where the system tells it."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Graviton 5\n")
    name: Callable[[Path], str] = machine.processor

    assert "Graviton 5" == name(tmp_path / "cpuinfo")
    assert name(tmp_path / "absent")
    assert machine.describe(tmp_path / "cpuinfo").startswith(f"Graviton 5, {machine.cores()} cores")
