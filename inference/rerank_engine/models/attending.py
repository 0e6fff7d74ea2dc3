"""What every attention over packed tokens looks like to the layers that call it."""

from typing import Protocol

from torch import Tensor


class Attention(Protocol):
    """softmax(q kᵀ / √d + bias) v within each pair."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, first: bool = False) -> Tensor:
        """k, v (T, H, d) and q (T, H, d), or (B, H, d) when `first` tokens alone ask; the result has q's shape."""
        ...
