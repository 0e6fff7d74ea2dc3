"""The state of a training run on disk: enough to go on as if it had never stopped."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from rerank_training.errors import RunError

FILE = "state.pt"


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: optimiser steps done.
        history: one record per evaluation: step, seconds, loss of each kind, ndcg.
        best_step, best_ndcg: the evaluation that was best.
        seconds: time spent training, over all sittings.
        losses: sums of each loss since the last evaluation, and their count under "steps".
    """

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_step: int = -1
    best_ndcg: float = -1.0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)


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
                tip="Run with the same flags to resume it, or name another --output.",
            )
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        return Progress(**content["progress"])
    except (OSError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise RunError(f"{path} cannot be resumed from: {error}.", tip="Delete it to start over.") from error


def fingerprint_of(*parts: object) -> str:
    """A short digest of options and data, by which a state is known to belong to a run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
