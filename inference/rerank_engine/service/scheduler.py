"""Many callers, one model: a thread that owns the forward pass and packs the pairs of all waiting requests together.

It waits for nobody: whatever is queued when a pass ends goes into the next one, so batches grow under load and a lone
request is computed at once. Which pairs go is decided in packing.py, how a failing batch is retried in scoring.py.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rerank_engine.batching import fair_batch, longest_first, slice_tokens
from rerank_engine.errors import DeadlineExceeded, NotReady, Overloaded, RerankError
from rerank_engine.service.scoring import Forward, Observe, Outcome, Score, TokenIds, isolate
from rerank_engine.settings import Settings

SLICE_S = 0.25

_log = logging.getLogger("rerank")


class Job:
    """The pairs of one call, and how far they are. `future` carries the outcome; cancelling it drops what is left."""

    def __init__(self, pairs: Sequence[TokenIds], *, submitted: float, deadline_s: float) -> None:
        self.pairs = pairs
        self.order = longest_first(pairs)
        self.lengths = [len(pairs[index]) for index in self.order]
        self.scores: list[Score] = [0.0] * len(pairs)
        self.taken = 0
        self.scored = 0
        self.submitted = submitted
        self.started: float | None = None
        self.deadline_s = deadline_s
        self.future: Future[Outcome] = Future()

    def late(self) -> DeadlineExceeded:
        """The error of a job that was not done in time."""
        left = len(self.pairs) - self.scored
        return DeadlineExceeded(f"{left} of {len(self.pairs)} pairs were not scored in {self.deadline_s:g} s.")

    def finish(self, now: float) -> None:
        """Hand out the scores, unless nobody waits for them any more."""
        if self.future.set_running_or_notify_cancel():
            started = now if self.started is None else self.started
            self.future.set_result(Outcome(self.scores, started - self.submitted, now - started))

    def fail(self, error: RerankError) -> None:
        """End with an error, unless nobody waits any more."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Scheduler:
    """Runs `forward` on one thread of its own, for whoever submits pairs.

    Args:
        forward: scores a list of token id lists; called from the worker thread alone.
        settings: token budget, pairs per pass, queue length; the deadline also bounds one forward pass (see `stuck`).
        clock: seconds, monotonic.
        observe: told of each forward pass: pairs, tokens, seconds.
    """

    def __init__(
        self,
        forward: Forward,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        observe: Observe | None = None,
    ) -> None:
        self._forward = forward
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing: str | None = None
        self._forward_since: float | None = None
        self._tokens_per_s: float | None = None
        self._thread = threading.Thread(target=self._main, name="rerank-worker", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the worker thread runs."""
        return self._thread.is_alive()

    @property
    def stuck(self) -> bool:
        """Whether one forward pass has taken longer than any request may: a hung device."""
        return self.pass_s > self._settings.deadline_seconds

    @property
    def pass_s(self) -> float:
        """Seconds that the forward pass under way has taken so far; 0 between two."""
        since = self._forward_since
        return 0.0 if since is None else self._clock() - since

    @property
    def waiting(self) -> int:
        """Calls that were submitted and not answered."""
        return len(self._jobs)

    def submit(self, pairs: Sequence[TokenIds], *, deadline_s: float) -> Job:
        """Queue the pairs of one call.

        Raises:
            Overloaded: as many calls wait as may.
            NotReady: the worker is dead, or shutting down.
        """
        job = Job(pairs, submitted=self._clock(), deadline_s=deadline_s)
        with self._changed:
            if self._closing is not None or not self.alive:
                raise NotReady(self._closing or "The model's worker is dead.")
            if len(self._jobs) >= self._settings.max_queued_requests:
                raise Overloaded(f"{len(self._jobs)} requests are waiting.", tip="Try again later, or add instances.")
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def score(self, pairs: Sequence[TokenIds], *, deadline_s: float) -> Outcome:
        """Submit and wait. Raises what `submit` does, and DeadlineExceeded."""
        job = self.submit(pairs, deadline_s=deadline_s)
        try:
            return job.future.result(timeout=deadline_s)
        except TimeoutError:
            job.future.cancel()
            raise job.late() from None

    def drain(self, timeout_s: float) -> bool:
        """Take no more calls and finish those taken; False when time ran out. The worker ends."""
        with self._changed:
            self._closing = self._closing or "The server is shutting down."
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._jobs, timeout_s)

    def abandon(self, error: RerankError) -> None:
        """Fail every call that is not answered, so that it gets a reply while there is still time to send one."""
        with self._changed:
            self._closing = self._closing or error.message
            left = list(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
        for job in left:
            job.fail(error)

    def join(self, timeout_s: float) -> None:
        """Wait for the worker thread to end."""
        self._thread.join(timeout_s)

    def _main(self) -> None:
        try:
            while batch := self._next_batch():
                self._run(batch)
        except BaseException as error:  # SystemExit from a library, a bug of ours: every waiting caller must hear of it
            _log.error("the worker died", exc_info=error)
        finally:
            with self._changed:
                self._closing = self._closing or "The model's worker is dead."
                left = list(self._jobs)
                self._jobs.clear()
                self._changed.notify_all()
            for job in left:
                job.fail(NotReady(self._closing))

    def _next_batch(self) -> list[tuple[Job, int]]:
        """The pairs of the next pass, as (job, index of the pair); blocks until there are any; [] when it is over."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._jobs) or self._closing is not None)
                if not self._jobs:
                    return []
                ended = self._drop_ended()
                batch = self._choose()
                self._changed.notify_all()
            for job in ended:
                job.fail(job.late())
            if batch:
                return batch

    def _drop_ended(self) -> list[Job]:
        """Remove jobs that were cancelled, are past their deadline or have no pairs; the late ones are returned."""
        now = self._clock()
        late = [job for job in self._jobs if now - job.submitted > job.deadline_s and not job.future.cancelled()]
        for job in [job for job in self._jobs if job in late or job.future.cancelled()]:
            self._remove(job)
        for job in [job for job in self._jobs if not job.pairs]:
            self._remove(job)
            job.finish(now)
        return late

    def _choose(self) -> list[tuple[Job, int]]:
        budget = slice_tokens(self._tokens_per_s, token_budget=self._settings.token_budget, slice_s=SLICE_S)
        counts = fair_batch(
            [job.lengths for job in self._jobs],
            [job.taken for job in self._jobs],
            token_budget=budget,
            max_pairs=self._settings.max_batch_pairs,
        )
        batch = []
        for job, count in zip(self._jobs, counts, strict=True):
            batch += [(job, index) for index in job.order[job.taken : job.taken + count]]
            job.taken += count
        self._jobs.rotate(-1)  # the next pass starts with another request
        return batch

    def _run(self, batch: list[tuple[Job, int]]) -> None:
        started = self._clock()
        for job, _ in batch:
            job.started = started if job.started is None else job.started
        scores = isolate(self._timed_forward, [job.pairs[index] for job, index in batch])
        for (job, index), score in zip(batch, scores, strict=True):
            job.scores[index] = score
            job.scored += 1
        done = [job for job in dict.fromkeys(job for job, _ in batch) if job.scored == len(job.pairs)]
        with self._changed:
            for job in done:
                self._remove(job)
            self._changed.notify_all()
        for job in done:
            job.finish(self._clock())

    def _timed_forward(self, pairs: Sequence[TokenIds]) -> Sequence[float]:
        self._forward_since = started = self._clock()
        try:
            logits = self._forward(pairs)
        finally:
            self._forward_since = None
        seconds, tokens = self._clock() - started, sum(map(len, pairs))
        if seconds > 0:
            rate = tokens / seconds
            self._tokens_per_s = rate if self._tokens_per_s is None else 0.8 * self._tokens_per_s + 0.2 * rate
        if self._observe is not None:
            self._observe(len(pairs), tokens, seconds)
        return logits

    def _remove(self, job: Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
