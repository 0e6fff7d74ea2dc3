"""Row-wise parts of a layer, a few rows at a time, so that what lies between two of its products stays in the cache."""

from collections.abc import Callable

from torch import Tensor

from rerank_engine.models.products import in_steps


def by_rows(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`function(*tensors)` for one that treats each row (N, …) by itself; on a CPU called for a few rows at a time.

    Feed-forwards of 3072 columns in bf16 then need 3 MB, a share of the last-level cache.
    """
    return function(*tensors) if tensors[0].device.type != "cpu" else in_steps(function, *tensors)
