"""What a comparison ran on, in one line."""

import os
import platform
from pathlib import Path


def describe(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Processor, cores that this process may use, GPU if there is one, PyTorch."""
    import torch

    parts = [f"{processor(cpuinfo)}, {cores()} cores"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return f"{', '.join(parts)}, PyTorch {torch.__version__}"


def processor(cpuinfo: Path) -> str:
    """Its name where the system tells it, else the kind of machine."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
