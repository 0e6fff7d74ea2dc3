"""A bundle in a lower precision: scored by the bundle's own code both ways, and let through the gate of `parity`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerank_bundle import judged, parity
from rerank_bundle.errors import PrecisionRefused
from rerank_bundle.isolated import score_in_isolation

SETTING = "RERANK_PRECISION"


@dataclass(frozen=True, slots=True)
class LowerPrecision:
    """What was asked for.

    Attributes:
        name: int8 or bf16.
        evaluation: a collection in BEIR's layout to hold it against fp32 on; None takes the kit's own sample.
        force: whether to package it even past the gate.
    """

    name: str
    evaluation: Path | None = None
    force: bool = False


def hold(lower: LowerPrecision, code: Path, model: Path, *, python: str = sys.executable) -> dict[str, Any]:
    """Score the evaluation's pairs with the model folder `model` in both precisions; the record for bundle.json.

    Raises:
        PrecisionRefused: it is past the gate and not forced, or this machine cannot compute in it.
        SourceError: the evaluation cannot be read.
        ScoringError, SettingError: as `score_in_isolation`.
    """
    entries = judged.sample() if lower.evaluation is None else judged.read_collection(lower.evaluation)
    pairs = [(entry.query, document) for entry in entries for document in entry.documents]
    reference = score_in_isolation(code, [model], pairs, settings={}, python=python)
    scores = score_in_isolation(code, [model], pairs, settings={}, precision=lower.name, python=python)
    if scores.precision != lower.name:
        raise PrecisionRefused(
            f"This machine scored in {scores.precision} instead of {lower.name}: its processor or PyTorch cannot.",
            tip="Package on a machine like the one that will serve it, or without --precision.",
        )
    name = judged.SAMPLE if lower.evaluation is None else lower.evaluation.resolve().name
    found = parity.compare(name, entries, _split(reference.logits[0], entries), _split(scores.logits[0], entries))
    parity.enforce(found, lower.name, force=lower.force)
    return found.record(lower.name)


def _split(logits: Sequence[float], entries: Sequence[parity.Judged]) -> list[Sequence[float]]:
    """One list of logits per entry."""
    lists, start = [], 0
    for entry in entries:
        lists.append(logits[start : start + len(entry.documents)])
        start += len(entry.documents)
    return lists
