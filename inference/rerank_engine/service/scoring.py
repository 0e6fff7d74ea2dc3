"""Scores for the pairs of a request: the engine's side of the doors, and how a poisoned pair fails alone."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rerank_engine.batching import plan
from rerank_engine.errors import DeadlineExceeded, OutOfMemory, RerankError
from rerank_engine.settings import Settings
from rerank_engine.types import RerankOptions, RerankResult, Timings

TokenIds = Sequence[int]
Score = float | RerankError
Forward = Callable[[Sequence[TokenIds]], Sequence[float]]
Observe = Callable[[int, int, float], None]

_log = logging.getLogger("rerank")
_MOST_FAILURES = 32


class Engine(Protocol):
    """What the doors ask of `rerank_engine.reranker.engine.Reranker`, so that they can be tested without torch."""

    @property
    def model_name(self) -> str:
        """Name that answers carry."""

    def prepare(self, query: str, documents: Sequence[str], options: RerankOptions) -> Any:
        """Tokenised pairs, under `.pairs`."""

    def forward(self, token_id_lists: Sequence[TokenIds], /) -> Sequence[float]:
        """One logit a pair."""

    def finish(self, prepared: Any, logits: Sequence[float], timings: Timings) -> RerankResult:
        """Scores, ranked."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a list of pairs.

    Attributes:
        scores: per pair its logit, or the error that this pair alone met.
        queue_s: seconds until the first of them was computed.
        forward_s: seconds from then to the last.
    """

    scores: Sequence[Score] = field(default_factory=tuple)
    queue_s: float = 0.0
    forward_s: float = 0.0


class Scorer(Protocol):
    """Scores pairs, one caller's at a time or many callers' together."""

    def score(self, pairs: Sequence[TokenIds], *, deadline_s: float) -> Outcome:
        """Scores in order. Raises Unavailable or DeadlineExceeded when none can be given."""


class DirectScorer:
    """The engine with nobody else waiting: what AWS's container has, where each process answers one call at a time.

    Slices of one token budget, so that a deadline can be kept between them.

    Attributes:
        observe: told of each slice: pairs, tokens, seconds.
    """

    def __init__(self, engine: Engine, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.observe: Observe = lambda pairs, tokens, seconds: None
        self._forward = engine.forward
        self._settings = settings
        self._clock = clock

    def score(self, pairs: Sequence[TokenIds], *, deadline_s: float) -> Outcome:
        """Scores in order. Raises DeadlineExceeded between two slices."""
        started = self._clock()
        scores: list[Score] = [0.0] * len(pairs)
        done = 0
        for chosen in plan(
            [len(pair) for pair in pairs],
            token_budget=self._settings.token_budget,
            max_sequences=self._settings.max_batch_pairs,
        ):
            if self._clock() - started > deadline_s:
                raise DeadlineExceeded(
                    f"{len(pairs) - done} of {len(pairs)} pairs were not scored in {deadline_s:g} s."
                )
            began = self._clock()
            for index, score in zip(chosen, isolate(self._forward, [pairs[i] for i in chosen]), strict=True):
                scores[index] = score
            self.observe(len(chosen), sum(len(pairs[i]) for i in chosen), self._clock() - began)
            done += len(chosen)
        return Outcome(scores, forward_s=self._clock() - started)


def isolate(forward: Forward, pairs: Sequence[TokenIds]) -> list[Score]:
    """Scores of `pairs`; when the whole fails, of its halves, down to the one pair that is at fault.

    A batch too large for the memory ends in two that fit; a pair that makes NaN fails alone. When 32 pairs have failed
    one by one, something else is wrong, and the rest gets the last error without being tried (n pairs cost 2n passes).
    """
    failures: list[RerankError] = []

    def attempt(some: Sequence[TokenIds]) -> list[Score]:
        if len(failures) >= _MOST_FAILURES:
            return [failures[-1]] * len(some)
        try:
            return list(forward(some))
        except Exception as error:
            if len(some) == 1:
                failures.append(as_rerank_error(error))
                return [failures[-1]]
        half = len(some) // 2  # outside the handler: a traceback would keep the failed batch's tensors alive
        return attempt(some[:half]) + attempt(some[half:])

    return attempt(pairs) if pairs else []


def as_rerank_error(error: BaseException) -> RerankError:
    """`error` itself, or an internal error in its place; details of the unforeseen go to the log, not to the caller."""
    if isinstance(error, RerankError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, without torch
        return OutOfMemory("The device ran out of memory.", tip="Lower RERANK_TOKEN_BUDGET.")
    _log.error("unexpected error", exc_info=error)
    return RerankError(f"Internal error: {type(error).__name__}.", tip="The container's log has the details.")
