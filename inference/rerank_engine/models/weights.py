"""Weights from model.safetensors, every tensor accounted for.

The file is memory-mapped: weights stored in the precision they run in are read from the page cache, without a copy.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from rerank_engine.errors import CheckpointError

FILE = "model.safetensors"
STORED_TYPES = ("F16", "BF16", "F32")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
NAMES_SHOWN = 8


def load_weights(model: nn.Module, model_dir: Path, *, device: torch.device, dtype: torch.dtype) -> None:
    """Give `model`, built on the meta device, its weights on `device`.

    Args:
        model: its state_dict says which tensors are expected, in which shapes; its `ignored_tensors`, which others
            may be there, of whatever type.
        model_dir: holds model.safetensors, stored as float16, bfloat16 or float32.
        device: where the weights go.
        dtype: what they are cast to; modules that declare `keeps_float32` stay in float32 at least.

    Raises:
        CheckpointError: the file is absent or damaged, or a tensor is missing, extra, misshapen or of another type.
    """
    path = _find(model_dir)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    wanted = _dtypes(model, dtype)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = set(file.keys()) - getattr(model, "ignored_tensors", frozenset())
            stored = {name: file.get_slice(name) for name in names}
            _account(expected, {name: tuple(part.get_shape()) for name, part in stored.items()})
            _check_types({name: part.get_dtype() for name, part in stored.items()})
            tensors: dict[str, Tensor] = {
                name: file.get_tensor(name).to(device=device, dtype=wanted[name]) for name in expected
            }
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged: {error}.", tip="Download or package the checkpoint again."
        ) from error
    model.load_state_dict(tensors, assign=True)
    model.to(device)  # buffers that the checkpoint does not carry


def _find(model_dir: Path) -> Path:
    path = model_dir / FILE
    if path.is_file():
        return path
    if (model_dir / f"{FILE}.index.json").is_file():
        raise CheckpointError(f"The weights in {model_dir} are split into shards. Merge them into one {FILE}.")
    pickles = sorted(found.name for pattern in PICKLES for found in model_dir.glob(pattern))
    if pickles:
        raise CheckpointError(
            f"{model_dir} has {', '.join(pickles)} but no {FILE}. Pickled weights can run code when opened: refused.",
            tip=f"Convert them once, where you trust their origin, and save them as {FILE}.",
        )
    raise CheckpointError(f"{model_dir} has no {FILE}.")


def _dtypes(model: nn.Module, dtype: torch.dtype) -> dict[str, torch.dtype]:
    wide = torch.promote_types(dtype, torch.float32)
    return {
        f"{prefix}.{name}" if prefix else name: wide if getattr(module, "keeps_float32", False) else dtype
        for prefix, module in model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
    }


def _account(expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, tuple[int, ...]]) -> None:
    missing = sorted(expected.keys() - stored.keys())
    extra = sorted(stored.keys() - expected.keys())
    misshapen = [
        f"{name} is {_shape(stored[name])}, must be {_shape(expected[name])}"
        for name in sorted(expected.keys() & stored.keys())
        if tuple(expected[name]) != tuple(stored[name])
    ]
    wrongs = [("missing", missing), ("not expected", extra), ("misshapen", misshapen)]
    if any(found for _, found in wrongs):
        said = "; ".join(f"{len(found)} {kind}: {_listed(found)}" for kind, found in wrongs if found)
        raise CheckpointError(f"{FILE} is not exactly this model's: {said}.")


def _check_types(stored: Mapping[str, str]) -> None:
    odd = sorted(f"{name} is {kind}" for name, kind in stored.items() if kind not in STORED_TYPES)
    if odd:
        raise CheckpointError(f"{FILE}: {_listed(odd)}. Stored types must be one of {', '.join(STORED_TYPES)}.")


def _shape(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "a scalar"


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
