"""Linear layers with their weights laid out in advance."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rerank_engine.errors import SettingsError
from rerank_engine.models import prepack as prepacking
from rerank_engine.models import products
from rerank_engine.models.layers import Linear, PreciseLinear
from rerank_engine.models.prepack import prepack
from rerank_engine.models.products import Bf16Product, Int8Product, MakeProduct, OneDnnProduct, by_rows, padded, works
from rerank_engine.reranker.devices import cpu_has_bf16
from rerank_engine.reranker.engine import Reranker
from rerank_engine.settings import Settings

NEAR = {torch.float32: 1e-5, torch.bfloat16: 0.05}


def layer(dtype: torch.dtype, *, bias: bool = True) -> Linear:
    torch.manual_seed(2)
    made = Linear(24, 40, bias=bias).to(dtype)
    for weight in made.parameters():
        nn.init.uniform_(weight, -0.3, 0.3)
    return made


@pytest.mark.parametrize("count", [1, 5, 16, 33, 64])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (OneDnnProduct, torch.float32),
        pytest.param(OneDnnProduct, torch.bfloat16, marks=pytest.mark.needs("bf16")),
        pytest.param(Int8Product, torch.float32, marks=pytest.mark.needs("int8")),
        pytest.param(Int8Product, torch.bfloat16, marks=pytest.mark.needs("int8", "emulated bf16")),
    ],
    ids=str,
)
def test_a_packed_layer_gives_what_it_gave(make: MakeProduct, dtype: torch.dtype, bias: bool, count: int) -> None:
    """For any number of rows, padded inside or not; 8-bit integers within what they round."""
    plain = layer(dtype, bias=bias)
    x = torch.randn(count, 24).to(dtype)
    expected = plain(x)

    plain.pack(make)

    given = plain(x)
    assert (dtype, (count, 40)) == (given.dtype, tuple(given.shape))
    assert (given - expected).abs().max() <= NEAR[dtype] + (0.06 if make is Int8Product else 0.0)


def test_a_packed_layer_holds_its_weights_once() -> None:
    """The parameters are gone, so that memory is not doubled."""
    packed_layer = layer(torch.float32)

    packed_layer.pack(OneDnnProduct)

    assert [] == list(packed_layer.parameters())


def test_heads_keep_their_precision() -> None:
    """Layers that keep float32 are not packed, nor is anything of float64."""
    model = nn.ModuleDict({"body": layer(torch.float32), "head": PreciseLinear(4, 1)})

    assert prepack(model) is OneDnnProduct
    assert {"head.weight", "head.bias"} == set(dict(model.named_parameters()))
    assert prepack(nn.ModuleList([layer(torch.float64)])) is None


def test_a_product_that_errs_is_not_taken() -> None:
    """Whether it raises or gives other numbers: the layer's own product stays."""

    def broken(weight: Tensor, bias: Tensor | None) -> OneDnnProduct:
        raise NotImplementedError("no such operator")

    def wrong(weight: Tensor, bias: Tensor | None) -> object:
        return lambda x: linear(x, weight, bias) * 1.1

    assert not works(broken, torch.float32, 1e-5)
    assert not works(wrong, torch.float32, 1e-5)  # type: ignore[arg-type]
    assert works(OneDnnProduct, torch.float32, 1e-5)


def test_numbers_of_rows_are_rounded_up() -> None:
    """To multiples of 32 beyond a few rows: each other number would cost a compilation."""
    sizes = {count: padded(torch.ones(count, 3)).shape[0] for count in (1, 16, 17, 32, 33, 512)}

    assert {1: 1, 16: 16, 17: 32, 32: 32, 33: 64, 512: 512} == sizes


def test_rows_are_treated_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of rows gives the same whether it sees all of them or a few at a time, in few different numbers."""
    monkeypatch.setattr(products, "MOST_ROWS", 64)
    x, y = torch.randn(149, 3), torch.randn(149, 3)
    seen = []

    def function(a: Tensor, b: Tensor) -> Tensor:
        seen.append(len(a))
        return a * b

    assert torch.equal(x * y, by_rows(function, x, y))
    assert torch.equal((x * y)[:40], by_rows(function, x[:40], y[:40]))
    assert [64, 64, 32, 64] == seen


def test_a_loaded_model_is_packed(tiny_checkpoint: Path) -> None:
    """Every matrix but the heads' and the embeddings', and it still tells its precision and size."""
    loaded = Reranker.load(tiny_checkpoint, Settings(precision="fp32", device="cpu"))

    assert all(part.product is not None for part in loaded.model.modules() if type(part) is Linear)
    assert (torch.float32, True) == (loaded.dtype, loaded.parameter_count > 100_000)


@pytest.mark.needs("bf16")
def test_mixed_precision_rounds_feed_forwards_alone(tiny_checkpoint: Path) -> None:
    """Attention's layers stay in float32, and so do the numbers between layers: scores are near those of float32."""
    pairs = [("what scales?", "an endpoint that scales with its requests " * count) for count in (1, 9, 40)]
    exact = Reranker.load(tiny_checkpoint, Settings(precision="fp32", device="cpu"))
    mixed = Reranker.load(tiny_checkpoint, Settings(precision="mixed", device="cpu"))
    products = {name: type(part.product) for name, part in mixed.model.named_modules() if type(part) is Linear}
    largest = max(abs(a - b) for a, b in zip(exact.score(pairs), mixed.score(pairs), strict=True))

    assert ("mixed", torch.float32) == (mixed.precision, mixed.dtype)
    assert all((kind is OneDnnProduct) == ("attention" in name) for name, kind in products.items())
    assert {OneDnnProduct, Bf16Product} == set(products.values())
    assert 0 < largest < 0.05


@pytest.mark.parametrize(("precision", "missing"), [("mixed", "bf16"), ("int8", "int8")])
def test_a_precision_that_the_processor_lacks_is_the_models_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, precision: str, missing: str
) -> None:
    """The layers multiply in float32 instead, exactly, and a warning names both precisions."""
    monkeypatch.setattr(prepacking, "works", lambda make, dtype, tolerance: make is OneDnnProduct)
    lower, exact = nn.ModuleDict({"mlp": layer(torch.float32)}), nn.ModuleDict({"mlp": layer(torch.float32)})
    x = torch.randn(5, 24)

    assert prepack(lower, **{precision: True}) is prepack(exact) is OneDnnProduct
    assert torch.equal(exact["mlp"](x), lower["mlp"](x))
    (said,) = caplog.messages
    assert f"cannot multiply in {missing} " in said
    assert "the model runs in float32 instead" in said


class InSixteenBits:
    """8-bit products as processors without VNNI form them: of two the sum is kept in 16 bits if `saturates`."""

    saturates = True

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.scale = weight.abs().amax(dim=1) / 127.0  # (N,)
        self.weight, self.bias = (weight / self.scale[:, None]).round(), bias  # (N, K)

    def __call__(self, x: Tensor) -> Tensor:
        low = x.min().clamp(max=0.0)
        scale = (x.max().clamp(min=0.0) - low) / 255.0
        zero = (-low / scale).round()
        rows = (x / scale + zero).round().clamp(0, 255)  # (R, K), unsigned
        pairs = (rows[:, None] * self.weight).unflatten(-1, (-1, 2)).sum(dim=-1)  # (R, N, K / 2)
        sums = (pairs.clamp(-32768, 32767) if self.saturates else pairs).sum(dim=-1)  # (R, N)
        output: Tensor = (sums - zero * self.weight.sum(dim=1)) * scale * self.scale
        return output if self.bias is None else output + self.bias


class InThirtyTwoBits(InSixteenBits):
    """As processors with VNNI form them."""

    saturates = False


def test_products_that_saturate_are_not_taken() -> None:
    """The sample of `works` has numbers so large and alike that two products overflow 16 bits."""
    assert works(InThirtyTwoBits, torch.float32, 0.03)
    assert not works(InSixteenBits, torch.float32, 0.03)


@pytest.mark.parametrize("precision", ["int8", "mixed"])
def test_a_model_is_never_wrong_where_its_precision_cannot_be_had(
    tiny_checkpoint: Path, can: Callable[[str], bool], precision: str
) -> None:
    """It runs in that precision, is refused, or runs in float32 and says that it does."""
    pairs = [("what scales?", "an endpoint that scales with its requests " * count) for count in (1, 9, 40)]
    exact = Reranker.load(tiny_checkpoint, Settings(precision="fp32", device="cpu"))
    lower = Settings(precision=precision, device="cpu")
    if precision == "mixed" and not cpu_has_bf16():
        with pytest.raises(SettingsError, match="no bf16 instructions"):
            Reranker.load(tiny_checkpoint, lower)
        return

    loaded = Reranker.load(tiny_checkpoint, lower)

    if not can("bf16" if precision == "mixed" else "int8"):
        assert "fp32" == loaded.precision
        assert exact.score(pairs) == loaded.score(pairs)
    else:
        assert precision == loaded.precision
        assert exact.score(pairs) == pytest.approx(loaded.score(pairs), abs=0.3, rel=0)
