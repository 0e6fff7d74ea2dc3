"""What a model folder says about itself: config.json, and bundle.json where it came out of a bundle."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rerank_engine.calibration import Calibration
from rerank_engine.errors import CheckpointError

MANIFEST_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Canary:
    """A pair whose logit is known.

    Attributes:
        query: the query.
        document: the document.
        logit: what float32 arithmetic gives.
        tolerance: how far from it a score may be.
    """

    query: str
    document: str
    logit: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model folder, read but not loaded.

    Attributes:
        config: config.json, with what the manifest declares of the model (alibi_tail_scale) laid over it.
        name: manifest's name, else config's _name_or_path, else the folder's.
        max_length: tokens of the longest pair by the manifest; None leaves it to the config.
        canary: a pair with a known logit; None without a manifest.
        meaningless_scores: whether the weights are random, and config.json says so (`rerank_demo`); the demo
            that comes with the kit is trained.
        calibration: what turns logits into probabilities; None where none was fitted.
    """

    config: dict[str, Any]
    name: str
    max_length: int | None = None
    canary: Canary | None = None
    meaningless_scores: bool = False
    calibration: Calibration | None = None


def read_checkpoint(model_dir: Path) -> Checkpoint:
    """Read config.json and, when present, bundle.json.

    Raises:
        CheckpointError: the folder or config.json is missing, or either file is not what it should be.
    """
    if not model_dir.is_dir():
        raise CheckpointError(f"{model_dir} is not a folder with a model in it.")
    config = _read_object(model_dir / "config.json")
    name = str(config.get("_name_or_path") or model_dir.resolve().name)
    demo = bool(config.get("rerank_demo", False))
    if not (model_dir / "bundle.json").exists():
        return Checkpoint(config=config, name=name, meaningless_scores=demo)
    manifest = _read_object(model_dir / "bundle.json")
    if manifest.get("format") != MANIFEST_FORMAT:
        raise CheckpointError(
            f"bundle.json has format {manifest.get('format')!r}. This engine reads format {MANIFEST_FORMAT}.",
            tip="Package the checkpoint again with this version of the kit.",
        )
    try:
        model = manifest["model"]
        declared = {"alibi_tail_scale": model["alibi_tail_scale"]} if "alibi_tail_scale" in model else {}
        return Checkpoint(
            config=config | declared,
            name=str(model.get("name") or name),
            max_length=model.get("max_length"),
            canary=_canary(model.get("canary")),
            meaningless_scores=bool(model.get("meaningless_scores", demo)),
            calibration=Calibration.of(model["calibration"]) if model.get("calibration") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"bundle.json is not a bundle's manifest: {error!r}.") from error


def _canary(declared: dict[str, Any] | None) -> Canary | None:
    return None if declared is None else Canary(**{field.name: declared[field.name] for field in fields(Canary)})


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {type(value).__name__}, not an object.")
    return value
