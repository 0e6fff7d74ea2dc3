"""Layers shared by the families.

None of them initialises its weights: they are built on the meta device and given a checkpoint's. (Drawing random
numbers on the meta device would import PyTorch's compiler, a second of every cold start.)
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from rerank_engine.models.products import MakeProduct, Product


class Unset:
    """Leaves weights as they are allocated."""

    def reset_parameters(self) -> None:
        """Nothing: see the module's docstring."""


class Linear(Unset, nn.Linear):
    """x Wᵀ + b, by `product` once the layer is packed."""

    product: Product | None = None

    def forward(self, input: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        return linear(input, self.weight, self.bias) if self.product is None else self.product(input)

    def pack(self, make: MakeProduct) -> None:
        """Hand the weights over to a product made of them; the layer's own parameters are dropped."""
        with torch.no_grad():
            self.product = make(self.weight, self.bias)
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)


class Embedding(Unset, nn.Embedding):
    """Rows of a table."""


class PreciseLinear(Linear):
    """A linear layer for heads, which see B rows only: in float32 at least, whatever the matrix products run in."""

    keeps_float32: ClassVar[bool] = True

    def forward(self, input: Tensor) -> Tensor:
        """(B, in) -> (B, out) in the parameters' precision."""
        return linear(input.to(self.weight.dtype), self.weight, self.bias)


class LayerNorm(Unset, nn.LayerNorm):
    """LN(x + residual): sum and norm in float32 at least, the result in the precision of `input`."""

    keeps_float32: ClassVar[bool] = True

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """Rows (N, W), residual (N, W) or (W,) -> (N, W)."""
        if residual is None and input.device.type == "cpu":
            return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)  # mixes precisions itself
        wide = input.to(self.weight.dtype)
        total = wide if residual is None else wide + residual
        return layer_norm(total, self.normalized_shape, self.weight, self.bias, self.eps).to(input.dtype)
