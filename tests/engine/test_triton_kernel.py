"""The Triton kernel without a GPU: its arithmetic in Triton's interpreter, and its builds for each card."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rerank_engine.models import triton_attention

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")

# Bytes of shared memory that a block may have, by compute capability.
# https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-capabilities
MOST_SHARED = {75: 64, 86: 99, 90: 227}


def in_a_process(script: str, scratch: Path, **variables: str) -> dict[str, float]:
    """What the script beside this file prints; whether the kernel is interpreted is settled when Triton is imported."""
    inference = Path(triton_attention.__file__).resolve().parents[2]
    env = os.environ | {"PYTHONPATH": str(inference), "TRITON_CACHE_DIR": str(scratch)} | variables
    command = [sys.executable, str(Path(__file__).with_name(script))]
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    printed: dict[str, float] = json.loads(run.stdout)
    return printed


def test_the_kernel_gives_the_formula(tmp_path: Path) -> None:
    """In Triton's interpreter, which runs it on the CPU: all pairs, first tokens alone, with and without the bias."""
    errors = in_a_process("interpreted_kernel.py", tmp_path, TRITON_INTERPRET="1")

    usable = {name: errors.pop(name) for name in list(errors) if name.startswith("usable")}
    assert {"usable": 1.0, "usable, odd width": 0.0} == usable
    assert {name: error for name, error in errors.items() if error > (2e-3 if "half" in name else 2e-6)} == {}


@pytest.mark.e2e
def test_the_kernel_builds_for_every_card(tmp_path: Path) -> None:
    """From T4 to H100: machine code comes out, within the shared memory that the card has."""
    shared = in_a_process("compiled_kernel.py", tmp_path, TRITON_INTERPRET="0")

    cards = {int(case.split("/")[0]) for case in shared}
    assert set(MOST_SHARED) == cards
    too_much = {case: size for case, size in shared.items() if size > 1024 * MOST_SHARED[int(case.split("/")[0])]}
    assert {} == too_much
