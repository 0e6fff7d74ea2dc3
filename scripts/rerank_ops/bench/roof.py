"""What this machine's matrix products reach, and what share of it an engine uses."""

import time
from collections.abc import Callable
from typing import Any

ROWS = 512, 2048  # in the cache, and beyond it
_SECONDS = 0.6


def matrix_flops_per_token(config: dict[str, Any]) -> float:
    """Floating point operations of the matrix products, per token, of a JinaBERT: two per weight.

    The last layer computes keys and values only; what it computes for first tokens alone is left out.
    """
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    per_layer = 4 * width * width + 3 * width * inner
    return float(2 * ((layers - 1) * per_layer + 2 * width * width))


def measure(precision: str, config: dict[str, Any], *, threads: int) -> float:
    """The best rate of a product of the model's largest matrix in `precision`, in operations a second."""
    import torch

    from rerank_engine.models.products import Int8Product, OneDnnProduct

    if precision == "mixed":
        return _mixed(config, threads)
    if threads:
        torch.set_num_threads(threads)
    width, inner = config["hidden_size"], config["intermediate_size"]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    weight = torch.randn(2 * inner, width).to(dtype)
    make = Int8Product if precision == "int8" else OneDnnProduct
    with torch.inference_mode():
        product = make(weight, None)
        return max(_rate(product, torch.randn(rows, width).to(dtype), 2 * inner) for rows in ROWS)


def _mixed(config: dict[str, Any], threads: int) -> float:
    """What feed-forwards at the bf16 rate and the rest at the fp32 rate come to."""
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    share = 2 * (layers - 1) * 3 * width * inner / matrix_flops_per_token(config)
    rates = {name: measure(name, config, threads=threads) for name in ("fp32", "bf16")}
    return float(1 / (share / rates["bf16"] + (1 - share) / rates["fp32"]))


def _rate(product: Callable[[Any], Any], rows: Any, outputs: int) -> float:
    """Operations a second of `product` on `rows` (R, K)."""
    return float(2 * rows.numel() * outputs) / _fastest(lambda: product(rows))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the quickest of the runs that fit a fraction of a second."""
    work()
    best, until = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best
