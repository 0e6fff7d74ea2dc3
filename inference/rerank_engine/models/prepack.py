"""Makes a loaded model fast on this CPU: every linear layer gets a product with weights laid out in advance.

Its weights then live in that layout alone: the model scores as before, but has no state_dict worth saving.
"""

import logging

import torch
from torch import nn

from rerank_engine.models.layers import Linear
from rerank_engine.models.products import Int8Product, MakeProduct, OneDnnProduct, works

_log = logging.getLogger("rerank")

_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.01}  # of the largest number in a small product
_INT8_TOLERANCE = 0.03


def prepack(model: nn.Module, *, int8: bool = False) -> MakeProduct | None:
    """Lay out the weights of the linear layers of `model`, in place; what they became, None where nothing is gained.

    Layers that keep float32 for precision are left alone: they see few rows. With `int8` the products run in 8-bit
    integers, where this machine can; the model's own precision stands in where it cannot.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Linear) and not hasattr(layer, "keeps_float32")]
    if not layers or any(layer.weight.device.type != "cpu" for layer in layers):
        return None
    make = _choose(layers[0].weight.dtype, int8=int8)
    if make is not None:
        for layer in layers:
            layer.pack(make)
    return make


def _choose(dtype: torch.dtype, *, int8: bool) -> MakeProduct | None:
    if int8 and works(Int8Product, dtype, _INT8_TOLERANCE):
        return Int8Product
    if int8:
        _log.warning("This machine or build of PyTorch multiplies no 8-bit integers: the model runs in %s.", dtype)
    tolerance = _TOLERANCE.get(dtype)
    return OneDnnProduct if tolerance is not None and works(OneDnnProduct, dtype, tolerance) else None
