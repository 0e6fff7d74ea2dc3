"""Where the model runs and in which precision."""

import os
from pathlib import Path

import torch

from rerank_engine.errors import SettingsError
from rerank_engine.settings import Settings

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 and, the last, ARM
# Values of ONEDNN_MAX_CPU_ISA that keep oneDNN from the bf16 instructions a processor has:
# https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
_HELD_BELOW_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}
_AMPERE = 8  # first compute capability with bf16 tensor cores


def choose_device(settings: Settings) -> torch.device:
    """The device that `settings.device` asks for; auto takes CUDA when there is one.

    Raises:
        SettingsError: CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise SettingsError(
            "RERANK_DEVICE is 'cuda', but PyTorch sees no GPU here.",
            tip="Take a GPU instance and its image, or set RERANK_DEVICE=auto.",
        )
    return torch.device("cpu" if settings.device == "cpu" or not available else "cuda")


def choose_dtype(settings: Settings, device: torch.device) -> torch.dtype:
    """The precision that `settings.precision` asks for; auto: fp32 on CPUs, bf16 on GPUs that have it, else fp16.

    Raises:
        SettingsError: the device cannot compute in that precision.
    """
    if device.type == "cpu":
        if settings.precision == "fp16":
            raise SettingsError(
                "RERANK_PRECISION is 'fp16', which is for GPUs.", tip="Choose auto, fp32 or bf16 on a CPU."
            )
        if settings.precision in ("bf16", "mixed") and not cpu_has_bf16():
            raise SettingsError(
                f"RERANK_PRECISION is {settings.precision!r}, but this CPU has no bf16 instructions: "
                "it would be slower than fp32.",
                tip="Choose auto or fp32, or an instance with them (m7i, c7i, r7i, m7g, c7g).",
            )
        if settings.precision == "int8":  # of the products; what lies between them is in this
            return torch.bfloat16 if cpu_has_bf16() else torch.float32
        return DTYPES.get(settings.precision, torch.float32)
    if settings.precision == "mixed":
        raise SettingsError("RERANK_PRECISION is 'mixed', which is for CPUs.", tip="Choose auto on a GPU.")
    has_bf16 = torch.cuda.get_device_capability(device)[0] >= _AMPERE
    if settings.precision == "bf16" and not has_bf16:
        raise SettingsError(
            f"RERANK_PRECISION is 'bf16', which {torch.cuda.get_device_name(device)} does not have.",
            tip="Choose auto or fp16 on this GPU.",
        )
    return DTYPES.get(settings.precision, torch.bfloat16 if has_bf16 else torch.float16)


def precision_name(dtype: torch.dtype) -> str:
    """`dtype` as RERANK_PRECISION calls it."""
    names = {dtype: name for name, dtype in DTYPES.items()} | {torch.float64: "fp64"}
    return names[dtype]


def cpu_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processors listed in `cpuinfo` multiply bf16 matrices in hardware; no where there is no such file.

    Also no where oneDNN, which multiplies them, is held to instructions without bf16 (ONEDNN_MAX_CPU_ISA).
    """
    held_to = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")
    if held_to.upper() in _HELD_BELOW_BF16:
        return False
    try:
        listed = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return not _CPU_BF16_FLAGS.isdisjoint(listed.split())
