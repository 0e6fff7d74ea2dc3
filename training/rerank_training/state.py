"""The state of a training run on disk: enough to go on as if it had never stopped."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from rerank_training.errors import RunError

FILE = "state.pt"
BEST = "best-{}.safetensors"  # by the step of the evaluation


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: optimiser steps done.
        history: one record per evaluation: step, seconds, loss of each kind, and ndcg where queries are watched.
        best_step, best_ndcg: the evaluation that was best; without watched queries the last one, and -1.
        seconds: time spent training, over all sittings.
        losses: sums of each loss since the last evaluation, and their count under "steps".
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_step: int = -1
    best_ndcg: float = -1.0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    @property
    def improved(self) -> bool | None:
        """Whether any evaluation was better than the first; None where nothing was watched, so that nobody knows."""
        return None if self.best_ndcg < 0 else self.best_step > 0


def save_state(folder: Path, model: torch.nn.Module, optimizer: Any, progress: Progress, fingerprint: str) -> None:
    """Write the state atomically: a reader, or a machine that is taken away, sees the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
        "fingerprint": fingerprint,
    }
    temporary = folder / f"{FILE}.part"
    torch.save(content, temporary)
    temporary.replace(folder / FILE)


def load_state(folder: Path, model: torch.nn.Module, optimizer: Any, fingerprint: str) -> Progress | None:
    """Put a saved state back; None when there is none.

    Raises:
        RunError: it is damaged, or of a run with other data or options.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["fingerprint"] != fingerprint:
            raise RunError(
                f"{path} belongs to a run with other data or options.",
                tip="Run with the same flags to resume it, name another --output, or delete the folder.",
            )
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        return Progress(**content["progress"])
    except (OSError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise RunError(f"{path} cannot be resumed from: {error}.", tip="Delete it to start over.") from error


def save_best(folder: Path, model: torch.nn.Module, step: int) -> None:
    """Keep the weights of the best evaluation, atomically; earlier ones stay until a state names these."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{BEST.format(step)}.part"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, part)
    part.replace(folder / BEST.format(step))


def load_best(folder: Path, step: int) -> dict[str, torch.Tensor]:
    """The weights that `save_best` kept.

    Raises:
        RunError: they are gone or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / BEST.format(step)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"The best weights, of step {step}, cannot be read: {error}.", tip=f"Delete {folder} to start over."
        ) from error


def forget_others(folder: Path, step: int) -> None:
    """Remove the weights of evaluations that are the best no longer; a state that names `step` has been saved."""
    for path in folder.glob(BEST.format("*")):
        if path.name != BEST.format(step):
            path.unlink()


def fingerprint_of(*parts: object) -> str:
    """A short digest of options and data, by which a state is known to belong to a run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
