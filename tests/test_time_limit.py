"""No test hangs: each has a limit of time, and what exceeds it says where it stood."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HANGING = """
import threading

def waits_for_ever():
    threading.Event().wait()

def test_that_hangs():
    waits_for_ever()

def test_behind_it():
    pass
"""


def test_a_test_that_hangs_fails_and_shows_where(tmp_path: Path) -> None:
    """The others still run."""
    (tmp_path / "test_hanging.py").write_text(HANGING)

    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            ROOT / "pyproject.toml",
            "-o",
            "timeout=1",
            "-p",
            "no:cacheprovider",
            ".",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert 1 == run.returncode, run.stderr
    assert "1 failed, 1 passed" in run.stdout
    assert "in waits_for_ever" in run.stdout + run.stderr


def test_every_test_here_has_a_limit(pytestconfig: pytest.Config) -> None:
    """Slow ones a longer one: see conftest.py."""
    assert 0 < float(pytestconfig.getini("timeout")) <= 300
    assert 0 < float(pytestconfig.getini("faulthandler_timeout"))
