"""The C library's allocator, set for long lives."""

import subprocess
import sys

import pytest

TELL = "from rerank_engine.reranker.heap import steady_heap; print(steady_heap())"


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
@pytest.mark.parametrize(
    ("env", "expected"), [({}, "True"), ({"MALLOC_ARENA_MAX": "4"}, "False"), ({"GLIBC_TUNABLES": "a=b"}, "False")]
)
def test_the_environment_goes_first(env: dict[str, str], expected: str) -> None:
    """Whoever sets malloc by the environment is left alone."""
    from rerank_engine.reranker import heap

    folder = str(heap.__file__).rsplit("/", 3)[0]
    said = subprocess.run(
        [sys.executable, "-c", TELL], env={"PYTHONPATH": folder, **env}, capture_output=True, text=True, check=True
    )

    assert expected == said.stdout.strip()


FAULTS = """
import resource
from rerank_engine.reranker.heap import steady_heap
steady_heap()
bytearray(24 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(24 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
SPINS = "import os, rerank_engine; print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])"


def told(script: str, **env: str) -> str:
    from rerank_engine.reranker import heap

    folder = str(heap.__file__).rsplit("/", 3)[0]
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env={"PYTHONPATH": folder, **env}, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_a_block_that_was_freed_is_there_for_the_next() -> None:
    """24 MB are 6,000 pages: none of them is asked of the system again, as glibc by itself would."""
    assert int(told(FAULTS)) < 600


def test_threads_spin_a_moment_unless_told_otherwise() -> None:
    """Both are read when PyTorch is imported, so importing the engine first must set them."""
    assert told(SPINS) == "PASSIVE 1000"
    assert told(SPINS, OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="5") == "ACTIVE 5"


GAPS = """
import sys
from rerank_engine.reranker.heap import give_back, steady_heap
now, mb = 1e9, 2**20
clock = lambda: now
resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096 / mb
steady = sys.argv[1] == 'steady' and steady_heap()
kept = [bytearray(mb) for _ in range(100)]
del kept[:99]  # 99 MB below what lives on
full = resident()
said = [give_back(clock)]
now += 29
said.append(give_back(clock))
now += 1
said.append(give_back(clock))
print(said, full - resident() > 80)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
@pytest.mark.parametrize(
    ("how", "expected"), [("steady", "[True, False, True] True"), ("", "[False, False, False] False")]
)
def test_gaps_go_back_every_half_minute(how: str, expected: str) -> None:
    """Only where the allocator was set: a program that uses the engine as a library keeps its own ways."""
    script = f"import sys; sys.argv[1:] = [{how!r}]\n{GAPS}"

    assert told(script) == expected
