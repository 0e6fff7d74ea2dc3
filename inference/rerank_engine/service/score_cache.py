"""Scores of pairs that were asked before: bounded, the least recently used forgotten first.

The key is a 16-byte hash of the token ids of one pair, that is of the query and the document or chunk of it, cut as the
options say: what decides a logit, and nothing else. Sigmoid, calibration, thresholds and order are applied after it.
A cache belongs to one loaded model: its digest need not be part of the key.
"""

import hashlib
import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from rerank_engine.errors import RerankError
from rerank_engine.service.scoring import Outcome, Score, TokenIds


@dataclass(frozen=True, slots=True)
class Recall:
    """What is known of the pairs of one call.

    Attributes:
        keys: of every pair, in order.
        known: the logits that were remembered; None where there was none.
        missing: the pairs to be scored, in order.
    """

    keys: Sequence[bytes]
    known: Sequence[float | None]
    missing: Sequence[TokenIds]

    @property
    def hits(self) -> int:
        """Pairs that need not be scored."""
        return len(self.keys) - len(self.missing)


class ScoreCache:
    """Logits by pair. Thread-safe.

    Args:
        entries: the most that are kept, about 200 bytes each.
    """

    def __init__(self, entries: int) -> None:
        self._most = entries
        self._logits: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._logits)

    def recall(self, pairs: Sequence[TokenIds]) -> Recall:
        """What is remembered of `pairs`."""
        keys = [hashlib.blake2b(array("q", pair).tobytes(), digest_size=16).digest() for pair in pairs]
        with self._lock:
            known = [self._logits.get(key) for key in keys]
            for key, logit in zip(keys, known, strict=True):
                if logit is not None:
                    self._logits.move_to_end(key)
        missing = [pair for pair, logit in zip(pairs, known, strict=True) if logit is None]
        return Recall(keys, known, missing)

    def complete(self, recall: Recall, outcome: Outcome) -> Outcome:
        """The outcome of all pairs, given that of the missing ones, which is remembered; errors are not."""
        computed = iter(outcome.scores)
        scores: list[Score] = [next(computed) if logit is None else logit for logit in recall.known]
        with self._lock:
            for key, logit, score in zip(recall.keys, recall.known, scores, strict=True):
                if logit is None and not isinstance(score, RerankError):
                    self._logits[key] = score
                    self._logits.move_to_end(key)
            while len(self._logits) > self._most:
                self._logits.popitem(last=False)
        return Outcome(scores, outcome.queue_s, outcome.forward_s)
