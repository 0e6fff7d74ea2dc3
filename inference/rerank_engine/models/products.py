"""Matrix products of the CPU that beat PyTorch's own: weights laid out once, when the model is loaded.

Measured on AVX-512 cores of AMD without AMX, at the shapes of jina-reranker-v1-tiny-en: float32 by oneDNN takes 1/2.3
of the time of PyTorch's own choice (MKL, which uses AVX2 there), bfloat16 1/1.05, 8-bit integers 1/1.7 of bfloat16's.
The operators are those that PyTorch's own compiler calls; see `works` for builds that lack one.
"""

import logging
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

Product = Callable[[Tensor], Tensor]
MakeProduct = Callable[[Tensor, Tensor | None], Product]

# oneDNN compiles a kernel for every number of rows, 0.5 ms and 0.5 MB each: of ever new ones, 1,024 would be kept. Only
# multiples of ROW_STEP are asked for, and MOST_ROWS at most: one kernel for all long inputs.
ROW_STEP = 32
MOST_ROWS = 512
_FEW_ROWS = 16  # below, each count has its own kernel: padding would cost more

_log = logging.getLogger("rerank")


class OneDnnProduct:
    """x Wᵀ + b with W in oneDNN's blocked layout, in W's precision."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """`weight` (N, K), `bias` (N,)."""
        self.weight = _reordered(weight)
        self.bias = None if bias is None else bias.contiguous()

    def __call__(self, input: Tensor) -> Tensor:
        """(R, K) -> (R, N)."""
        return in_steps(self._multiply, input)

    def _multiply(self, rows: Tensor) -> Tensor:
        output: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return output


class Bf16Product(OneDnnProduct):
    """x Wᵀ + b in bf16 within a model of another precision.

    A feed-forward is two of them: what widens gives bf16, the one that narrows the model's own precision again.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """`weight` (N, K), `bias` (N,)."""
        super().__init__(weight.bfloat16(), None if bias is None else bias.bfloat16())
        outputs, inputs = weight.shape
        self.gives = weight.dtype if outputs < inputs else torch.bfloat16

    def __call__(self, input: Tensor) -> Tensor:
        """(R, K) -> (R, N)."""
        return super().__call__(input.bfloat16()).to(self.gives)


class Int8Product:
    """x Wᵀ + b in 8-bit integers: W scaled per output, x per MOST_ROWS, sums in 32 bits, then x's precision."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """`weight` (N, K), `bias` (N,)."""
        wide = weight.float()
        scale = wide.abs().amax(dim=1).clamp(min=1e-12) / 127.0  # (N,)
        zeros = torch.zeros(wide.shape[0], dtype=torch.int64)
        with warnings.catch_warnings():  # PyTorch will drop the type one day; `works` says when
            warnings.simplefilter("ignore", UserWarning)
            quantised = torch.quantize_per_channel(wide, scale, zeros, 0, torch.qint8)
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = "onednn"  # read by the next line, and remembered in what it returns
        try:
            self.packed = torch.ops.quantized.linear_prepack(quantised, None if bias is None else bias.float())
        finally:
            torch.backends.quantized.engine = before

    def __call__(self, input: Tensor) -> Tensor:
        """(R, K) -> (R, N)."""
        return in_steps(self._multiply, input)

    def _multiply(self, rows: Tensor) -> Tensor:
        output: Tensor = torch.ops.quantized.linear_dynamic(rows.float(), self.packed, False)
        return output.to(rows.dtype)


def in_steps(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`function(*tensors)` for one that treats each row by itself, called with few different numbers of rows.

    Those are 1 … 16 and the multiples of ROW_STEP up to MOST_ROWS; zero rows fill up, and are cut off again.
    """
    count = tensors[0].shape[0]
    return joined(
        (
            function(*(padded(tensor[start : start + MOST_ROWS]) for tensor in tensors))[: count - start]
            for start in range(0, count, MOST_ROWS)
        ),
        count,
    )


def padded(rows: Tensor) -> Tensor:
    """`rows` (R, K) with zero rows below, up to a multiple of ROW_STEP, where R is more than a few."""
    missing = -rows.shape[0] % ROW_STEP
    return rows.contiguous() if missing == 0 or rows.shape[0] <= _FEW_ROWS else pad(rows, (0, 0, 0, missing))


def works(make: MakeProduct, dtype: torch.dtype, tolerance: float) -> bool:
    """Whether products made by `make` run here and give what `linear` gives, within a share of the largest number."""
    spread = torch.linspace(-1.0, 1.0, 64 * 48).sin().view(48, 64)
    weight, bias, rows = spread[:32].to(dtype), spread[0, :32].to(dtype), spread[16:].to(dtype)  # (32, 64), (32,)
    try:
        with torch.inference_mode():
            wanted = linear(rows.float(), weight.float(), bias.float())  # (32, 32)
            error = (make(weight, bias)(rows).float() - wanted).abs().max() / wanted.abs().max()
    except Exception as problem:  # an operator that is not there, or a processor it does not run on
        _log.info("%s is not to be had here: %s", getattr(make, "__name__", make), problem)
        return False
    return bool(error <= tolerance)


def _reordered(weight: Tensor) -> Tensor:
    reorder = torch.ops.mkldnn._reorder_linear_weight
    try:
        laid_out: Tensor = reorder(weight.contiguous())
    except NotImplementedError:  # releases before 2.9 take it in oneDNN's own tensor type only
        laid_out = reorder(weight.contiguous().to_mkldnn())
    return laid_out


def joined(pieces: Iterator[Tensor], count: int) -> Tensor:
    """Pieces (R, …), one at least, below one another: (`count`, …).

    Each is copied to its place as it comes: all of them beside the result would take twice its memory.
    """
    first = next(pieces)
    if first.requires_grad:
        return torch.cat([first, *pieces])  # the gradient of a copy into a slice would go through the whole result
    if len(first) == count:
        return first
    result = first.new_empty((count, *first.shape[1:]))
    result[: len(first)] = first
    start = len(first)
    del first
    for piece in pieces:
        result[start : start + len(piece)] = piece
        start += len(piece)
    return result


def by_rows(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`function(*tensors)` for one that treats each row (N, …) by itself; on a CPU called for a few rows at a time.

    Feed-forwards of 3072 columns in bf16 then need 3 MB, a share of the last-level cache.
    """
    return function(*tensors) if tensors[0].device.type != "cpu" else in_steps(function, *tensors)
