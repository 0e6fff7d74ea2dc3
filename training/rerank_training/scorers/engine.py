"""A checkpoint or a bundle, scored by the engine of this repository."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rerank_engine.engine import Reranker
from rerank_engine.hosting import read_settings
from rerank_training.errors import ScorerError


class EngineScorer:
    """See `Scorer`. A bundle's packaged settings hold, but for precision and device; `rerank verify` is what checks
    it."""

    def __init__(self, path: Path, *, precision: str = "auto", device: str = "auto") -> None:
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        folder = path
        if path.is_file():
            self._unpacked = tempfile.TemporaryDirectory(prefix="rerank-evaluate-")
            folder = Path(self._unpacked.name)
            _unpack(path, folder)
        settings = replace(read_settings({}, folder), device=device)
        if precision != "auto":
            settings = replace(settings, precision=precision)
        self._reranker = Reranker.load(folder, settings)
        self.name = path.name.removesuffix(".tar.gz") if path.is_file() else path.resolve().name
        self.details: dict[str, object] = {
            "model": self._reranker.model_name,
            "family": self._reranker.family,
            "parameters": self._reranker.parameter_count,
            "device": str(self._reranker.device),
            "precision": str(self._reranker.dtype).removeprefix("torch."),
        }

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        return self._reranker.score([(query, passage) for passage in passages])


def _unpack(bundle: Path, folder: Path) -> None:
    """Only the model's own files: the engine that scores is this repository's."""
    import tarfile

    with tarfile.open(bundle) as archive:
        members = [m for m in archive.getmembers() if m.isfile() and "/" not in m.name.removeprefix("./")]
        if not any(m.name.removeprefix("./") == "config.json" for m in members):
            raise ScorerError(f"{bundle} has no config.json at its top: it is not a bundle.")
        archive.extractall(folder, members=members, filter="data")
