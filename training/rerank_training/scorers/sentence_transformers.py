"""Models by their sentence-transformers name: cross-encoders by `predict`, bi-encoders by cosine.

Its CrossEncoder opens a bi-encoder as well, and gives it a head with random weights (a warning is all it says); so the
architectures of config.json decide which of the two a model is.
"""

from collections.abc import Sequence
from typing import Any

from rerank_training.errors import MissingPackage, ScorerError
from rerank_training.scorers.base import Scorer

HEADS = ("ForSequenceClassification", "ForCausalLM")  # what a trained cross-encoder's architecture ends with


def open_sentence_transformers(name: str, *, device: str = "auto") -> Scorer:
    """The model `name`, from a folder or the hub.

    Raises:
        MissingPackage: sentence-transformers is not installed.
        ScorerError: it cannot load the model.
    """
    try:
        import sentence_transformers
    except ImportError:
        raise MissingPackage(
            f"st:{name} needs sentence-transformers, which is not installed.", tip="pip install sentence-transformers"
        ) from None
    where = None if device == "auto" else device
    try:
        model = sentence_transformers.CrossEncoder(name, device=where)
        if _is_cross_encoder(model):
            return _Cross(name, model)
        return _Bi(name, sentence_transformers.SentenceTransformer(name, device=where))
    except (OSError, ValueError) as error:
        raise ScorerError(f"sentence-transformers cannot load {name!r}: {error}.") from error


def _is_cross_encoder(model: Any) -> bool:
    architectures = getattr(getattr(model, "config", None), "architectures", None) or ()
    return any(str(architecture).endswith(HEADS) for architecture in architectures)


class _Cross:
    def __init__(self, name: str, model: Any) -> None:
        self.name, self._model = name, model
        self.details: dict[str, object] = {"kind": "cross-encoder"}

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        return [float(s) for s in self._model.predict([(query, p) for p in passages], show_progress_bar=False)]


class _Bi:
    def __init__(self, name: str, model: Any) -> None:
        self.name, self._model = name, model
        self.details: dict[str, object] = {"kind": "bi-encoder"}

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """See `Scorer.score`."""
        vectors = self._model.encode([query, *passages], normalize_embeddings=True, show_progress_bar=False)
        return [float(vector @ vectors[0]) for vector in vectors[1:]]
