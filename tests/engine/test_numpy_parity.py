"""The same model once more, in float64 numpy, one pair and one head at a time, written from the formulas alone."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHAPES = {
    "12 heads of 4": {"hidden_size": 48, "num_attention_heads": 12, "num_hidden_layers": 2},
    "12 heads of 32": {"hidden_size": 384, "num_attention_heads": 12, "num_hidden_layers": 1},
    "4 heads of 64": {"hidden_size": 256, "num_attention_heads": 4, "num_hidden_layers": 2},
    "8 heads of 4": {"hidden_size": 32, "num_attention_heads": 8, "num_hidden_layers": 3},
    "1 head of 32": {"hidden_size": 32, "num_attention_heads": 1, "num_hidden_layers": 2},
    "6 heads of 8, tail halved": {"hidden_size": 48, "num_attention_heads": 6, "alibi_tail_scale": 0.5},
}


def head_slopes(heads: int, tail_scale: float) -> list[float]:
    """As the ALiBi paper's code has it: a geometric series, recursing for the heads beyond a power of two."""

    def series(n: int) -> list[float]:
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if math.log2(heads).is_integer():
        return series(heads)
    closest = 2 ** math.floor(math.log2(heads))
    return series(closest) + [tail_scale * s for s in series(2 * closest)[0::2][: heads - closest]]


def norm(x: Array, weights: dict[str, Array], name: str) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Array, weights: dict[str, Array], name: str) -> Array:
    result: Array = x @ weights[f"{name}.weight"].T
    return result + weights[f"{name}.bias"] if f"{name}.bias" in weights else result


def attend(x: Array, weights: dict[str, Array], name: str, slopes: Sequence[float]) -> Array:
    q, k, v = (linear(x, weights, f"{name}.{part}") for part in ("query", "key", "value"))
    width = x.shape[1] // len(slopes)
    positions = np.arange(len(x))
    heads = []
    for number, slope in enumerate(slopes):
        part = slice(number * width, (number + 1) * width)
        scores = q[:, part] @ k[:, part].T / math.sqrt(width)
        bias = np.float32(slope) * np.abs(positions[:, None] - positions[None, :]).astype(np.float32)  # by the spec
        scores = scores - bias.astype(np.float64)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        heads.append(powers / powers.sum(axis=1, keepdims=True) @ v[:, part])
    return np.concatenate(heads, axis=1)


def reference_logit(ids: Sequence[int], weights: dict[str, Array], config: dict[str, Any]) -> float:
    """Logit of one pair; every row of every layer is computed."""
    slopes = head_slopes(config["num_attention_heads"], config.get("alibi_tail_scale", 1.0))
    x = weights["bert.embeddings.word_embeddings.weight"][list(ids)]
    x = norm(x + weights["bert.embeddings.token_type_embeddings.weight"][0], weights, "bert.embeddings.LayerNorm")
    for number in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{number}"
        context = attend(x, weights, f"{layer}.attention.self", slopes)
        output = linear(context, weights, f"{layer}.attention.output.dense")
        a = norm(output + x, weights, f"{layer}.attention.output.LayerNorm")
        g = linear(a, weights, f"{layer}.mlp.gated_layers")
        gate, value = g[:, : config["intermediate_size"]], g[:, config["intermediate_size"] :]
        gelu = gate * 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2)))
        x = norm(linear(gelu * value, weights, f"{layer}.mlp.wo") + a, weights, f"{layer}.mlp.layernorm")
    pooled = np.tanh(linear(x[0], weights, "bert.pooler.dense"))
    return float(linear(pooled, weights, "classifier")[0])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_logits_are_those_of_numpy(
    config: Callable[..., Any],
    random_model: Callable[..., Any],
    random_pairs: Callable[..., Any],
    pack: Callable[..., Any],
    shape: str,
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    """Random weights of many shapes, in one batch of very unequal lengths, some of them equal."""
    settings = config(**SHAPES[shape])
    model, weights = random_model(settings, dtype=dtype)
    pairs = random_pairs(3, 70, 17, 17, 1, 42)

    logits = model(pack(pairs)).tolist()

    assert [reference_logit(ids, weights, settings) for ids in pairs] == pytest.approx(logits, abs=tolerance, rel=0)
