"""The C library's allocator, set for long lives."""

import subprocess
import sys

import pytest

TELL = "from rerank_engine.heap import steady_heap; print(steady_heap())"


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
@pytest.mark.parametrize(
    ("env", "expected"), [({}, "True"), ({"MALLOC_ARENA_MAX": "4"}, "False"), ({"GLIBC_TUNABLES": "a=b"}, "False")]
)
def test_the_environment_goes_first(env: dict[str, str], expected: str) -> None:
    """Whoever sets malloc by the environment is left alone."""
    from rerank_engine import heap

    folder = str(heap.__file__).rsplit("/", 2)[0]
    said = subprocess.run(
        [sys.executable, "-c", TELL], env={"PYTHONPATH": folder, **env}, capture_output=True, text=True, check=True
    )

    assert expected == said.stdout.strip()
