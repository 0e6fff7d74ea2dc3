"""Ends a server that cannot recover by itself, so that SageMaker starts a new one.

A thread in a hung CUDA call cannot be interrupted, and a model whose worker died holds a device in an unknown state:
/ping says 503 at once, but nothing inside the process can mend either.
"""

import asyncio
import logging
from collections.abc import Callable

from rerank_engine.errors import NotReady
from rerank_engine.server.life import Life
from rerank_engine.telemetry.logs import event

_EVERY_S = 1.0


class Watchdog:
    """Looks at a life once a second, and gives it up once.

    Args:
        life: whose scheduler is watched.
        end: stops the server; called once, after `life.failure` was set.
        beat: called at every look.
    """

    def __init__(self, life: Life, end: Callable[[], None], beat: Callable[[], None] = lambda: None) -> None:
        self._life = life
        self._end = end
        self._beat = beat

    async def watch(self) -> None:
        """Check until given up."""
        while not self.check():
            self._beat()
            await asyncio.sleep(_EVERY_S)

    def check(self) -> bool:
        """Give the server up if it is beyond recovery; whether it was."""
        reason = self._life.beyond_recovery()
        if reason is None or self._life.failure is not None:
            return self._life.failure is not None
        self._life.failure = NotReady(f"Giving up: {reason}.", tip="A new container, or a new process, has to start.")
        event("giving up", {"reason": reason}, level=logging.CRITICAL)
        self._end()
        return True
