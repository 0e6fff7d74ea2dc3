"""Layers shared by the families. Their weights stay in float32 at least, whatever the matrix products run in."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear


class LayerNorm(nn.LayerNorm):
    """LN(x + residual): sum and norm in the parameters' precision, the result in that of `input`."""

    keeps_float32: ClassVar[bool] = True

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """Rows (N, W), residual (N, W) or (W,) -> (N, W)."""
        wide = input.to(self.weight.dtype)
        total = wide if residual is None else wide + residual
        return layer_norm(total, self.normalized_shape, self.weight, self.bias, self.eps).to(input.dtype)


class PreciseLinear(nn.Linear):
    """A linear layer for heads, which see B rows only."""

    keeps_float32: ClassVar[bool] = True

    def forward(self, input: Tensor) -> Tensor:
        """(B, in) -> (B, out) in the parameters' precision."""
        return linear(input.to(self.weight.dtype), self.weight, self.bias)
