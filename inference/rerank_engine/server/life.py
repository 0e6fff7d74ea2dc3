"""The life of the served model: loading, ready, and whether it still is.

/ping is 200 only when a request sent now would be answered: the model has scored its canary pair, its worker lives, no
forward pass hangs, and the server is not shutting down.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rerank_engine.errors import NotReady, RerankError
from rerank_engine.hosting import Hosting
from rerank_engine.reranker.integrity import check_bundle
from rerank_engine.service.scheduler import Scheduler
from rerank_engine.service.scoring import Engine, Observe
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings
from rerank_engine.telemetry.logs import event

_RETRY_AFTER_S = 5


class ServedEngine(Engine, Protocol):
    """An engine that can prove itself."""

    def check_canary(self) -> float:
        """Score the canary pair. Raises CheckpointError or NotFinite when its logit is not what it was."""


Load = Callable[[], ServedEngine]


class Life:
    """Loads the model on a thread of its own, so that the port is open while torch is still being imported.

    Args:
        settings: the server's settings.
        hosting: where it runs.
        load: makes the engine; takes seconds.
        observe: told of each forward pass.
    """

    def __init__(self, settings: Settings, hosting: Hosting, load: Load, *, observe: Observe | None = None) -> None:
        self.settings = settings
        self.hosting = hosting
        self.failure: RerankError | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.draining = False
        self._load = load
        self._observe = observe
        self._service: Service | None = None
        self._scheduler: Scheduler | None = None
        self._thread = threading.Thread(target=self._run, name="rerank-load", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the model is loaded, or failed to."""
        self._thread.join()

    def trouble(self) -> str | None:
        """Why a request sent now would not be answered; None when it would."""
        if self.failure is not None:
            loaded = self._scheduler is not None
            return self.failure.message if loaded else f"the model failed to load: {self.failure.message}"
        if self.draining:
            return "shutting down"
        if self._scheduler is None:
            return "loading the model"
        if not self._scheduler.alive:
            return "the model's worker is dead"
        return "a forward pass hangs" if self._scheduler.stuck else None

    def beyond_recovery(self) -> str | None:
        """Why only a new process can help; None while this one may."""
        if self._scheduler is None or self.draining:
            return None
        if not self._scheduler.alive:
            return "the model's worker is dead"
        most_s, taken_s = self.settings.hang_exit_seconds, self._scheduler.pass_s
        return f"a forward pass has taken {taken_s:.0f} s" if 0 < most_s < taken_s else None

    def abandon(self) -> None:
        """Answer 503 to what is not done: the time to shut down is nearly over."""
        if self._scheduler is not None:
            self._scheduler.abandon(NotReady("The server is shutting down.", retry_after_s=_RETRY_AFTER_S))

    def serving(self) -> tuple[Service, Scheduler]:
        """What answers requests.

        Raises:
            NotReady: nothing does, or not any more.
        """
        if self._service is None or self._scheduler is None or not self._scheduler.alive or self.draining:
            raise NotReady(f"Not ready: {self.trouble() or 'starting'}.", retry_after_s=_RETRY_AFTER_S)
        return self._service, self._scheduler

    @property
    def waiting(self) -> int:
        """Calls in the scheduler's hands."""
        return 0 if self._scheduler is None else self._scheduler.waiting

    @property
    def pass_s(self) -> float:
        """Seconds that the forward pass under way has taken."""
        return 0.0 if self._scheduler is None else self._scheduler.pass_s

    @property
    def cached(self) -> int:
        """Pairs whose scores are remembered."""
        cache = None if self._service is None else self._service.cache
        return 0 if cache is None else len(cache)

    def end(self) -> bool:
        """Stop the worker; False when it, or the loading, goes on regardless."""
        self.draining = True
        if self._scheduler is None:
            return not self._thread.is_alive()
        return self._scheduler.drain(0.0)

    def _run(self) -> None:
        try:
            engine = self._load()
            engine.check_canary()
            scheduler = Scheduler(engine.forward, self.settings, observe=self._observe)
            self._service = Service(engine, self.settings, hosting=self.hosting, scorer=scheduler)
            self._scheduler = scheduler
        except BaseException as error:  # SystemExit too: a thread that ends in silence would load for ever
            if isinstance(error, RerankError):
                self.failure = error
            else:
                self.failure = RerankError(f"The model failed to load: {type(error).__name__}: {error}")
            trace = None if self.failure is error else error
            event("load failed", {"error": self.failure.message}, level=logging.ERROR, trace=trace)
            self.on_failure()
        else:
            event("ready", {"model": engine.model_name})


def loader(hosting: Hosting, settings: Settings) -> Load:
    """How the real engine is loaded: torch is imported only then."""

    def load() -> ServedEngine:
        if settings.verify_bundle:
            checked(hosting.model_dir(settings))
        from rerank_engine.reranker.engine import Reranker

        engine = Reranker.load(hosting.model_dir(settings), settings)
        # PyTorch's 170,000 objects never become garbage; looking through them stops all requests, seen for 170 ms.
        gc.freeze()
        return engine

    return load


def checked(model_dir: Path) -> None:
    """Hold the bundle against its manifest, and log what it took. Raises CheckpointError."""
    started = time.perf_counter()
    files = check_bundle(model_dir)
    event("bundle checked", {"files": files, "seconds": round(time.perf_counter() - started, 3)})
