"""Run in a process of its own: builds the Triton kernel for the cards of SageMaker's instances, which needs no card.

stdout, in JSON: {"<compute capability>/<head width>/<type>/<rows>": bytes of shared memory}.
"""

import inspect
import json
import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rerank_engine.models.triton_attention import FEW_ROWS, KEYS, ROWS, WARPS, precision_of
from rerank_engine.models.triton_kernels import attend

CARDS = (75, 86, 90)  # T4; A10G, the narrowest of A100, A10G, L4 and L40S; H100
ARGUMENTS = {"blocks": "*i32", "slopes": "*fp32", "reach": "*i32", "scale": "fp32"}
ALIGNED = 7  # the pointers, which PyTorch aligns, so that loads may be wide and asynchronous


def source(width: int, dtype: str, rows: int) -> Any:
    """What a launch on a card would have compiled."""
    signature = dict.fromkeys(("q", "k", "v", "out"), f"*{dtype}") | ARGUMENTS
    chosen = {"HEADS": 12, "WIDTH": width, "ROWS": rows, "KEYS": KEYS, "PRECISION": precision_of(dtype == "fp32")}
    if "constants" in inspect.signature(ASTSource.__init__).parameters:  # triton 3.2
        from triton.backends.compiler import AttrsDescriptor

        values = {"arg_properties": {"tt.divisibility": list(range(ALIGNED)), "tt.equal_to": []}}
        attributes = AttrsDescriptor.from_dict({**values, "cls": "AttrsDescriptor"})
        return ASTSource(fn=attend, signature=signature, constants=chosen, attrs=attributes)
    attributes = {(place,): [["tt.divisibility", 16]] for place in range(ALIGNED)}
    types = signature | dict.fromkeys(chosen, "constexpr")
    return ASTSource(fn=attend, signature=types, constexprs=chosen, attrs=attributes)


def main() -> None:
    """Every card, head width and type; float32, which takes long to build, in the larger block alone."""
    shared = {}
    for card in CARDS:
        for width in (32, 64):
            for dtype in ("fp32", "fp16") if card < 80 else ("fp32", "fp16", "bf16"):
                for rows in (ROWS,) if dtype == "fp32" else (ROWS, FEW_ROWS):
                    target, options = GPUTarget("cuda", card, 32), {"num_warps": WARPS}
                    built = triton.compile(source(width, dtype, rows), target=target, options=options)
                    assert built.asm["cubin"]
                    shared[f"{card}/{width}/{dtype}/{rows}"] = built.metadata.shared
    json.dump(shared, sys.stdout)


if __name__ == "__main__":
    main()
