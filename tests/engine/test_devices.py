"""Where the model runs, in which precision."""

from pathlib import Path

import pytest
import torch

from rerank_engine.errors import SettingsError
from rerank_engine.models import load_model
from rerank_engine.reranker import devices
from rerank_engine.reranker.devices import choose_device, choose_dtype, cpu_has_bf16
from rerank_engine.reranker.engine import Reranker
from rerank_engine.reranker.forward import run_passes
from rerank_engine.settings import Settings

CPU = torch.device("cpu")
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens on a machine without a GPU")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_a_cpu_computes_in_fp32_unless_told_otherwise() -> None:
    """Auto is the precision whose scores are the published ones."""
    assert torch.float32 == choose_dtype(Settings(), CPU)


def test_fp16_on_a_cpu_is_refused() -> None:
    """It is for GPUs."""
    with pytest.raises(SettingsError, match="RERANK_PRECISION is 'fp16'"):
        choose_dtype(Settings(precision="fp16"), CPU)


def test_bf16_on_a_cpu_that_has_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the matrix products, too, also where these are in 8 bits; mixed keeps float32 there."""
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: True)

    assert [torch.bfloat16, torch.bfloat16, torch.float32] == [
        choose_dtype(Settings(precision=precision), CPU) for precision in ("bf16", "int8", "mixed")
    ]


@pytest.mark.parametrize("precision", ["bf16", "mixed"])
def test_bf16_on_a_cpu_without_it_is_refused(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    """It would be slower than fp32, so it is an error."""
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: False)

    with pytest.raises(SettingsError, match=rf"'{precision}', but this CPU has no bf16 instructions"):
        choose_dtype(Settings(precision=precision), CPU)


def test_int8_without_bf16_has_float32_between_its_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """And runs in it whole where 8-bit products cannot be had either: see test_products.py."""
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: False)

    assert torch.float32 == choose_dtype(Settings(precision="int8"), CPU)


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("flags : fpu avx2 avx512f avx512_bf16", True),
        ("flags : fpu amx_bf16", True),
        ("Features : fp asimd bf16", True),
        ("flags : fpu avx2 avx512f", False),
    ],
)
def test_bf16_is_read_off_the_processors_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, has: bool
) -> None:
    """Of x86 and of ARM."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")

    assert has == cpu_has_bf16(tmp_path / "cpuinfo")


@pytest.mark.parametrize(("held_to", "has"), [("AVX2", False), ("avx512_core", False), ("AVX512_CORE_AMX", True)])
def test_bf16_that_onednn_is_kept_from_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_to: str, has: bool
) -> None:
    """Its products would end in an error of oneDNN's."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held_to)
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f avx512_bf16 amx_bf16\n")

    assert has == cpu_has_bf16(tmp_path / "cpuinfo")


def test_a_system_that_does_not_list_flags_has_no_bf16(tmp_path: Path) -> None:
    """Unknown counts as no."""
    assert not cpu_has_bf16(tmp_path / "absent")


@pytest.mark.needs("emulated bf16")
def test_bf16_scores_are_near_those_of_fp32(tiny_checkpoint: Path) -> None:
    """Whether the CPU has instructions for it or PyTorch emulates them."""
    pairs = [[0, 9, 40, 2, 2, *range(5, 5 + count), 2] for count in (1, 7, 300, 301)]
    exact, reduced = (
        run_passes(
            load_model(tiny_checkpoint, device=CPU, dtype=dtype), pairs, device=CPU, token_budget=500, max_sequences=9
        )
        for dtype in (torch.float32, torch.bfloat16)
    )

    assert exact != reduced
    assert exact == pytest.approx(reduced, abs=0.1, rel=0)


@needs_no_gpu
def test_cuda_without_a_gpu_is_refused() -> None:
    """Instead of running on the CPU unnoticed."""
    with pytest.raises(SettingsError, match="sees no GPU"):
        choose_device(Settings(device="cuda"))


@needs_no_gpu
def test_auto_takes_the_cpu_where_there_is_no_gpu() -> None:
    """And cpu is always the CPU."""
    assert [CPU, CPU] == [choose_device(Settings(device=device)) for device in ("auto", "cpu")]


@needs_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.02), ("bf16", 0.15)])
def test_a_gpu_scores_as_the_cpu_does(tiny_checkpoint: Path, precision: str, tolerance: float) -> None:
    """Within its precision."""
    pairs = [("a query", "word " * count) for count in (1, 7, 300, 301, 2000)]
    expected = Reranker.load(tiny_checkpoint, Settings(device="cpu")).score(pairs)

    scores = Reranker.load(tiny_checkpoint, Settings(device="cuda", precision=precision)).score(pairs)

    assert expected == pytest.approx(scores, abs=tolerance, rel=0)
