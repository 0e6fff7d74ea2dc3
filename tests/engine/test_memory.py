"""Memory does not grow with the number of shapes that a process has computed.

oneDNN compiles a kernel for each and keeps it: here they are counted, by what it tells itself, and weighed.
"""

import ctypes
import json
import os
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest
import torch

import rerank_engine
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings

FOLDER = str(Path(str(rerank_engine.__file__)).parents[1])
PASSES = """
import sys
from pathlib import Path
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings

def different(count, length):  # pairs that are equal would be scored once
    return [[5 + n // 64, 5 + n % 64, *[5] * (length - 2)] for n in range(count)]

reranker = Reranker.load(Path(sys.argv[1]), Settings(precision="fp32", device="cpu"))
for tokens in range(512, 1056, 32):
    reranker.forward(different(tokens // 16, 16))
print("from here", flush=True)
for tokens in range(1056, 3104, 32):
    reranker.forward(different(tokens // 16, 16))
"""
PRODUCTS = """
import ctypes
import rerank_engine, torch
from rerank_engine.models.products import OneDnnProduct

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
product = OneDnnProduct(torch.ones(64, 64), None)

def used_after(counts):
    for rows in counts:
        product._multiply(torch.ones(rows, 64))  # not in steps, which would need few kernels
    now = mallinfo()
    return (now.uordblks + now.hblkhd) / 2**20

print(-used_after(range(1, 301)) + used_after(range(301, 601)))
"""


def said(script: str, *arguments: str, **env: str) -> str:
    """What `script` prints in a process of its own, with one thread and our own settings of oneDNN."""
    unset = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"}
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**inherited, "PYTHONPATH": FOLDER, "OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_more_tokens_need_no_more_kernels(tiny_checkpoint: Path) -> None:
    """64 passes of ever new numbers of tokens beyond 512: what was compiled for the first ones serves them all."""
    told = said(PASSES, str(tiny_checkpoint), ONEDNN_VERBOSE="profile")

    first, rest = told.split("from here")
    assert "exec" in rest or "exec" not in first  # where oneDNN computes at all, it still does
    assert 0 == rest.count("create:cache_miss")


@pytest.mark.e2e
@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33, which tells how much memory is in use"
)
def test_kernels_of_old_shapes_are_given_up() -> None:
    """300 products of new shapes after 300 others: nearly as many kernels are dropped as are made."""
    grown_mb = float(said(PRODUCTS))

    assert grown_mb < 30


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.needs("bf16"))])
def test_a_pass_holds_little_more_than_its_states(tiny_checkpoint: Path, precision: str) -> None:
    """States, queries, keys, values and what was attended to stand at once: five times the width for each token."""
    reranker = Reranker.load(tiny_checkpoint, Settings(precision=precision, device="cpu"))
    width = json.loads((tiny_checkpoint / "config.json").read_text())["hidden_size"]
    tokens = reranker.settings.token_budget
    pairs = [[5 + n // 64, 5 + n % 64, *[5] * 126] for n in range(tokens // 128)]  # equal ones would be scored once

    reranker.forward(pairs)  # what a first pass makes for later ones is not counted
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        reranker.forward(pairs)

    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    peak = max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))
    states = 5 * tokens * width * reranker.dtype.itemsize
    assert states < peak < 1.3 * states
