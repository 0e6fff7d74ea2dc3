"""The header of a safetensors file, read without loading a tensor and without any library.

Format: 8 bytes little-endian length n, n bytes of JSON {name: {dtype, shape, data_offsets}}, then the numbers;
https://github.com/huggingface/safetensors#format
"""

import json
import struct
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from rerank_bundle.errors import SourceError

LARGEST_HEADER_BYTES = 100_000_000  # the format's own limit
NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class WeightsHeader:
    """What the header says.

    Attributes:
        parameters: how many floating-point numbers the tensors hold.
        dtype: the type most of them are stored in: float16, bfloat16, float32 or float64.
        tensors: how many tensors there are.
    """

    parameters: int
    dtype: str
    tensors: int


def read_header(path: Path) -> WeightsHeader:
    """The header of `path`, checked against the file's size.

    Raises:
        SourceError: it is no safetensors file, it is cut short or it holds no floating-point tensor.
    """
    entries, data_bytes = _entries(path)
    end, counts = 0, Counter[str]()
    try:
        for name, entry in entries.items():
            if name != "__metadata__":
                end = max(end, int(entry["data_offsets"][1]))
                counts[entry["dtype"]] += prod(entry["shape"])
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise SourceError(f"{path.name} is not a safetensors file: its header is damaged at {name!r}.") from error
    if end != data_bytes:
        raise SourceError(
            f"{path.name} holds {data_bytes:,} bytes of tensors where its header says {end:,}.",
            tip="The download is incomplete: fetch the file again. (A Git LFS pointer is not the file itself.)",
        )
    floats = Counter({NAMES[dtype]: count for dtype, count in counts.items() if dtype in NAMES})
    if not floats:
        raise SourceError(
            f"{path.name} holds no floating-point tensors, only {', '.join(sorted(counts)) or 'nothing'}.",
            tip="Quantised checkpoints cannot be packaged; use the fp16, bf16 or fp32 one.",
        )
    tensors = len(entries) - ("__metadata__" in entries)
    return WeightsHeader(parameters=floats.total(), dtype=floats.most_common(1)[0][0], tensors=tensors)


def _entries(path: Path) -> tuple[dict[str, Any], int]:
    """The header's JSON object, and the number of bytes that follow it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(LARGEST_HEADER_BYTES, size - 8):
            raise SourceError(
                f"{path.name} is not a safetensors file, or it is cut short ({size:,} bytes).",
                tip="A Git LFS pointer or a renamed pickle looks like this: fetch the file itself.",
            )
        raw = file.read(length)
    try:
        entries = json.loads(raw)
    except ValueError as error:
        raise SourceError(f"{path.name} is not a safetensors file: its header is not JSON.") from error
    if not isinstance(entries, dict):
        raise SourceError(f"{path.name} is not a safetensors file: its header is not a JSON object.")
    return entries, size - 8 - length
