"""Makes a loaded model fast on this CPU: every linear layer gets a product with weights laid out in advance.

Its weights then live in that layout alone: the model scores as before, but has no state_dict worth saving.
"""

import logging

import torch
from torch import nn

from rerank_engine.models.layers import Linear
from rerank_engine.models.products import Bf16Product, Int8Product, MakeProduct, OneDnnProduct, works

_log = logging.getLogger("rerank")

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.01}  # of the largest number in a small product
_INT8_TOLERANCE = 0.03
_SENSITIVE = "attention"  # in the names of layers whose rounding moves scores most, in every family


def prepack(model: nn.Module, *, int8: bool = False, mixed: bool = False) -> MakeProduct | None:
    """Lay out the weights of the linear layers of `model`, in place; what they became, None where nothing is gained.

    Layers that keep float32 for precision are left alone: they see few rows. With `int8` the products run in 8-bit
    integers, where this machine can; the model's own precision stands in where it cannot. With `mixed` those of the
    feed-forwards, three quarters of all operations, run in bf16 and those around attention in the model's own
    precision: rounding queries and keys is what changes rankings (see scripts/BENCHMARKS.md).
    """
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, Linear) and not hasattr(layer, "keeps_float32")
    }
    if not layers or any(layer.weight.device.type != "cpu" for layer in layers.values()):
        return None
    dtype = next(iter(layers.values())).weight.dtype
    plain = _choose(dtype, int8=int8)
    make = _lower("bf16", Bf16Product, dtype, _TOLERANCE[torch.bfloat16]) or plain if mixed else plain
    for name, layer in layers.items():
        if (chosen := plain if _SENSITIVE in name else make) is not None:
            layer.pack(chosen)
    return make


def _choose(dtype: torch.dtype, *, int8: bool) -> MakeProduct | None:
    if int8 and (make := _lower("int8", Int8Product, dtype, _INT8_TOLERANCE)) is not None:
        return make
    tolerance = _TOLERANCE.get(dtype)
    return OneDnnProduct if tolerance is not None and works(OneDnnProduct, dtype, tolerance) else None


def _lower(name: str, make: MakeProduct, dtype: torch.dtype, tolerance: float) -> MakeProduct | None:
    """`make`, a product in the precision `name`, less than the model's, where it works."""
    if works(make, dtype, tolerance):
        return make
    _log.warning(
        "This processor or build of PyTorch cannot multiply in %s (8-bit products need AVX512-VNNI, AVX-VNNI or AMX, "
        "bf16 products AVX512-BF16 or AMX): the model runs in %s instead, with scores of that precision.",
        name,
        str(dtype).removeprefix("torch."),
    )
    return None
