"""The wire formats callers speak, and how a payload finds its own: see `recognition` for the table."""

from rerank_engine.dialects.base import Answer, Dialect, Ranking, RerankRequest, said, shorter
from rerank_engine.dialects.recognition import DIALECTS, JINA_SAGEMAKER, expected_at, guess, recognise

__all__ = [
    "DIALECTS",
    "JINA_SAGEMAKER",
    "Answer",
    "Dialect",
    "Ranking",
    "RerankRequest",
    "expected_at",
    "guess",
    "recognise",
    "said",
    "shorter",
]
