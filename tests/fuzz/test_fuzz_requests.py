"""The fuzzer runs, and finds nothing in the time of a test; by hand it runs as long as one likes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fuzz_requests.py")


@pytest.fixture(autouse=True)
def needs_atheris() -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs the extra fuzz")


def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """Two thousand inputs from the dialects' examples, the same ones each time."""
    command = [sys.executable, str(SCRIPT), "-runs=2000", "-seed=1", "-max_len=600"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert 0 == done.returncode, done.stderr[-4000:]
    assert "Done 2000 runs" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_the_fuzzer_would_find_a_fault(tmp_path: Path) -> None:
    """With a service that answers some inputs with 500, it stops and keeps the input that did it."""
    broken = "EXPECTED = (200, 400, 406, 413, 415, 422)"
    source = SCRIPT.read_text(encoding="utf-8")
    assert broken in source
    inference = str(SCRIPT.parents[2] / "inference")
    source = source.replace(broken, "EXPECTED = (400, 422)").replace(
        'str(Path(__file__).parents[2] / "inference")', repr(inference)
    )
    script = tmp_path / "script.py"
    script.write_text(source, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(script), "-runs=2000", "-seed=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert 0 != done.returncode
    assert 1 == len(list(tmp_path.glob("crash-*")))
