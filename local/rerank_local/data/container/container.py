"""One model process kept alive: what one `docker run` of a real SageMaker container is on AWS.

A process that dies, or whose /ping fails three times in a row (silence counts only while no request is under way), is
started again in the same folder after a pause, which doubles each time; SageMaker replaces unhealthy containers too.
After five restarts without a healthy minute in between it is left dead, and says why.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rerank_local.data.container.connections import Reply
from rerank_local.data.container.launch import Launcher, free_port, serve_door
from rerank_local.data.container.process import ModelProcess
from rerank_local.data.container.workdir import WorkDir
from rerank_local.data.errors import ContainerFailed, ContainerUnavailable
from rerank_local.data.s3 import Fetch
from rerank_local.data.values import ModelSpec


@dataclass(frozen=True, slots=True)
class Care:
    """How a container is watched and stopped; the defaults are SageMaker's where it documents one.

    Attributes:
        stop_grace_s: between SIGTERM and SIGKILL.
        ping_every_s: how often /ping is asked while it runs.
        failed_pings: that many in a row, and it is started again.
        restarts: at most so many without `steady_s` seconds of health in between.
        pause_s: before the first restart; doubled for each further one.
    """

    stop_grace_s: float = 30.0
    ping_every_s: float = 5.0
    failed_pings: int = 3
    restarts: int = 5
    pause_s: float = 0.5
    steady_s: float = 60.0


class Container:
    """A model's process with its folder, its supervisor and its connections.

    Attributes:
        restarts: how often it was started again.
        healthy: whether the last look at it was good.
    """

    def __init__(
        self,
        spec: ModelSpec,
        fetch: Fetch,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        launcher: Launcher = serve_door,
        care: Care | None = None,
    ) -> None:
        self.spec, self.log = spec, log
        self.restarts, self.healthy = 0, False
        self._fetch, self._launcher, self._care = fetch, launcher, care or Care()
        self._environment = {**spec.environment, **(environment or {})}
        self._workdir = WorkDir()
        self._process: ModelProcess | None = None
        self._stopping = threading.Event()
        self._changed = threading.Condition()  # guards _process, _in_flight
        self._in_flight = 0
        self._why_dead: str | None = None
        self._startup_timeout_s = 0.0
        self._watcher: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, if one does."""
        process = self._process
        return process.pid if process and not process.exited.is_set() else None

    @property
    def port(self) -> int | None:
        """Of the process that runs now, if one does."""
        process = self._process
        return process.port if process and not process.exited.is_set() else None

    def start(self, timeout_s: float) -> None:
        """Downloads, unpacks, starts, waits for /ping to say 200, and goes on watching.

        Raises:
            ContainerFailed: with the end of the log; nothing is left running.
        """
        self._startup_timeout_s = timeout_s
        try:
            self._workdir.unpack(self._fetch, self.spec.model_data_url)
            self._spawn()
        except BaseException:
            self.stop()
            raise
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{self.log.stem}", daemon=True)
        self._watcher.start()

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
        max_response_bytes: int | None = None,
    ) -> Reply:
        """One request to the process; errors as in `ConnectionPool.request`."""
        process = self._process
        if process is None or process.exited.is_set():
            raise ContainerUnavailable(self._why_dead or "The model process is not running; it is being started again.")
        with self.in_use():
            return process.pool.request(
                method, path, body, headers, timeout_s=timeout_s, max_response_bytes=max_response_bytes
            )

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Counts a request, so that `drain` can wait for it."""
        with self._changed:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def drain(self, timeout_s: float) -> None:
        """Waits until no request is in use, `timeout_s` seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight == 0, timeout_s)

    def stop(self) -> None:
        """Ends the process (SIGTERM, then SIGKILL) and removes the folder. Safe to call again."""
        self._stopping.set()
        with self._changed:
            process = self._process
        self.healthy = False
        self._why_dead = self._why_dead or "The model process has been stopped."
        if process:
            process.stop(self._care.stop_grace_s)
        watcher = self._watcher
        if watcher and watcher is not threading.current_thread():
            watcher.join(self._care.stop_grace_s)
        self._workdir.close()

    def _spawn(self) -> None:
        port = free_port()
        command = self._launcher(self._workdir.base, port, self._environment)
        with self._changed:
            if self._stopping.is_set():
                raise ContainerFailed("It was stopped while it was starting.")
            self._process = ModelProcess(command, port=port, folder=self._workdir.base, log=self.log)
        self._process.wait_healthy(self._startup_timeout_s)
        self.healthy = True

    def _watch(self) -> None:
        tries, failed, healthy_since = 0, 0, time.monotonic()
        while not self._stopping.is_set() and self._process is not None:
            ended = self._process.exited.wait(self._care.ping_every_s)
            if self._stopping.is_set():
                return
            if not ended:
                failed = self._failed_pings(self._process.ping(), failed)
            self.healthy = not ended and failed == 0
            if not ended and failed < self._care.failed_pings:
                continue
            if time.monotonic() - healthy_since > self._care.steady_s:
                tries = 0
            tries, failed = self._revive(tries), 0
            if tries < 0:
                return
            healthy_since = time.monotonic()

    def _failed_pings(self, status: int | None, before: int) -> int:
        if status == 200:
            return 0
        if status is None and self._in_flight:
            return before  # it computes, on a machine that does other things too: silence is no verdict
        return before + 1

    def _revive(self, tries: int) -> int:
        """Starts it again until it is healthy; the tries that took in all, or -1 when it is given up."""
        while tries < self._care.restarts:
            if self._process is not None:
                self._process.stop(self._care.stop_grace_s)
            if self._stopping.wait(self._care.pause_s * 2**tries):
                return -1
            tries += 1
            self.restarts += 1
            with contextlib.suppress(ContainerFailed):
                self._spawn()
                return tries
        end = self._process.tail() if self._process else ""
        self._why_dead = f"The model process was started {tries} times again and did not stay up.\n{end}"
        return -1
