"""Run in a process of its own, with TRITON_INTERPRET=1: the Triton kernel on the CPU, against the formula.

stdout: the largest error of each case, in JSON.
"""

import json
import sys

import torch

from rerank_engine.models.alibi import slopes
from rerank_engine.models.attention import PaddedAttention, SegmentAttention
from rerank_engine.models.base import PackedBatch
from rerank_engine.models.triton_attention import TritonAttention, usable

CASES = {
    "alibi": (12, 32, (5, 70, 64, 1, 200), torch.float32, True),
    "no bias": (3, 64, (130, 2), torch.float32, False),
    "far keys left out": (2, 32, (600,), torch.float32, True),
    "half precision": (4, 32, (5, 70), torch.float16, True),
}


def main() -> None:
    """Every case, whole pairs and first tokens alone."""
    torch.manual_seed(0)
    errors: dict[str, float] = {}
    for name, (heads, width, lengths, dtype, biased) in CASES.items():
        tokens = sum(lengths)
        batch = PackedBatch(torch.zeros(tokens, dtype=torch.int64), lengths)
        q, k, v = (0.3 * torch.randn(tokens, heads, width).to(dtype) for _ in range(3))
        bias = torch.tensor(slopes(heads)) if biased else None
        ours, exact = TritonAttention(batch, bias), SegmentAttention(batch, bias, torch.float64)
        wide = exact(q.double(), k.double(), v.double())
        errors[name] = float((ours(q, k, v) - wide).abs().max())
        rows = torch.tensor(batch.starts[:-1])
        errors[f"{name}, first tokens"] = float((ours(q[rows], k, v, first=True) - wide[rows]).abs().max())
    errors["usable"] = float(usable(torch.device("cpu"), torch.float32, 32, PaddedAttention))
    errors["usable, odd width"] = float(usable(torch.device("cpu"), torch.float32, 24, PaddedAttention))
    json.dump(errors, sys.stdout)


if __name__ == "__main__":
    main()
