"""A share of the queue for each caller who says who it is: `caller=NAME` among the custom attributes of a request.

All requests of a SageMaker endpoint come from its router, over connections that it shares: an address tells nothing,
and custom attributes are the one header that SageMaker leaves to its callers. A name is a courtesy between callers who
are trusted already (they may invoke the endpoint), not a defence: whoever gives none is held by the queue alone.

Too many of one caller's is a 429, a full queue a 503 (see errors.py). Peers differ: text-embeddings-inference says 429
to both. Clients that retry, cohere's and ours among them, retry both alike.
"""

from collections import Counter

from rerank_engine.errors import TooManyRequests
from rerank_engine.settings import Settings


class Callers:
    """Counts the requests that each named caller has under way; for one thread, the event loop's.

    Args:
        settings: the length of the queue, and a caller's share of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._share = settings.max_requests_per_caller or max(1, settings.max_queued_requests // 2)
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._under_way)

    def came(self, caller: str | None) -> None:
        """Count a request in."""
        if caller is not None:
            self._under_way[caller] += 1

    def check(self, caller: str | None) -> None:
        """Raise TooManyRequests if this caller, its newest request counted in, has more than its share."""
        if caller is not None and self._under_way[caller] > self._share:
            raise TooManyRequests(
                f"Caller {caller[:40]!r} has {self._share} requests under way, its share of the queue.",
                tip="Wait for some of them, or put more documents into each.",
            )

    def went(self, caller: str | None) -> None:
        """Count a request out; a caller with none is forgotten."""
        if caller is not None:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]
