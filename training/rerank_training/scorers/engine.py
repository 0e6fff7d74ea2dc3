"""A checkpoint or a bundle, scored by the engine of this repository."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rerank_engine.hosting import read_settings
from rerank_engine.reranker.engine import Reranker
from rerank_training.errors import ScorerError


class EngineScorer:
    """See `Scorer`; passages may come in parts of `part`. A bundle's packaged settings hold, but for device and, where
    one is asked for, precision.

    Raises:
        CheckpointError, BundleError: the folder or bundle cannot be opened.
        SettingsError: the device has no such precision; ScorerError: it would run in another.
    """

    part = 64  # passages that fill a forward pass: more at once are not faster, and say nothing meanwhile

    def __init__(self, path: Path, *, precision: str = "auto", device: str = "auto") -> None:
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        folder = path
        if path.is_file():
            from rerank_bundle.unpack import unpack

            self._unpacked = tempfile.TemporaryDirectory(prefix="rerank-evaluate-")
            folder = Path(self._unpacked.name)
            unpack(path, folder)
        if precision in ("int8", "mixed") and device == "auto":
            device = "cpu"  # which alone computes so
        settings = replace(read_settings({}, folder), device=device)
        if precision != "auto":
            settings = replace(settings, precision=precision)
        self._reranker = Reranker.load(folder, settings)
        if precision not in ("auto", self._reranker.precision):
            raise ScorerError(
                f"{path} would run in {self._reranker.precision}, not in {precision}: this machine cannot compute so.",
                tip="Choose fp32, or a CPU of another kind.",
            )
        bundle = (folder / "bundle.json").is_file()  # says a name, where the file's is mostly model.tar.gz
        self.name = self._reranker.model_name if bundle else path.resolve().name
        self.details: dict[str, object] = {
            "model": self._reranker.model_name,
            "family": self._reranker.family,
            "parameters": self._reranker.parameter_count,
            "device": str(self._reranker.device),
            "precision": self._reranker.precision,
        }

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        return self._reranker.score([(query, passage) for passage in passages])
