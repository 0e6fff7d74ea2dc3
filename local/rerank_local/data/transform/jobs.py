"""Transform jobs: created, run in threads of their own, looked at, stopped."""

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rerank_local.data.container.container import Care, Container
from rerank_local.data.container.launch import Launcher, serve_door
from rerank_local.data.endpoints.fleet import STARTUP_TIMEOUT_S
from rerank_local.data.errors import TransformRefused, UnknownJob
from rerank_local.data.s3 import Fetch, S3Client
from rerank_local.data.transform.request import parse
from rerank_local.data.transform.run import JobLog, Progress, Stopped, TransformRun
from rerank_local.data.values import JobView, ModelSpec


class _Job:
    """A job's view, changed under a lock and announced to whoever listens."""

    def __init__(self, view: JobView, announce: Callable[[JobView], None]) -> None:
        self.view = view
        self.finished = threading.Event()
        self._announce, self._lock = announce, threading.Lock()
        self.run: TransformRun | None = None

    def change(self, **changes: Any) -> None:
        """Announced under the lock, so that listeners see changes in their order."""
        with self._lock:
            self.view = replace(self.view, **changes)
            self._announce(self.view)

    def begin_stopping(self) -> bool:
        """Whether it was InProgress, and is Stopping from now on."""
        with self._lock:
            if self.view.status != "InProgress":
                return False
            self.view = replace(self.view, status="Stopping")
            self._announce(self.view)
        return True

    def report(self, progress: Progress) -> None:
        counts = {name: getattr(progress, name) for name in ("files_total", "files_done", "files_failed", "records")}
        limits = progress.limits
        settled = (
            {
                "batch_strategy": limits.strategy,
                "max_payload_mb": limits.max_payload_mb,
                "max_concurrent": limits.max_concurrent,
            }
            if limits
            else {}
        )
        self.change(**counts, **settled)


class TransformJobs:
    """Every transform job of the local AWS, each with a container of its own (instance counts do not matter).

    Args:
        fetch: opens a model archive by its ModelDataUrl.
        s3: makes the client that reads inputs and writes outputs.
        log_dir: logs go to log_dir/transform/<job>/job.log and container.log.
        on_change: called with the job's view when it is created, from the caller's thread, then at each change of
            status or progress, from the job's; never two at once for a job, and in their order.
    """

    def __init__(
        self,
        fetch: Fetch,
        s3: Callable[[], S3Client],
        log_dir: Path,
        *,
        on_change: Callable[[JobView], None] | None = None,
        startup_timeout_s: float = STARTUP_TIMEOUT_S,
        launcher: Launcher = serve_door,
        care: Care | None = None,
    ) -> None:
        self._fetch, self._s3, self._log_dir = fetch, s3, log_dir
        self._on_change = on_change or (lambda view: None)
        self._startup_timeout_s, self._launcher, self._care = startup_timeout_s, launcher, care
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def create(self, request: Mapping[str, Any], model: ModelSpec) -> JobView:
        """Checks a CreateTransformJob request (members in the API's casing) and starts the job.

        Raises:
            TransformRefused: the request is not valid, not offered here, or its name is taken.
        """
        parsed = parse(request)
        folder = self._log_dir / "transform" / parsed.name
        now = datetime.now(UTC)
        view = JobView(
            name=parsed.name,
            status="InProgress",
            failure_reason=None,
            creation_time=now,
            start_time=now,
            end_time=None,
            batch_strategy=parsed.strategy,
            max_payload_mb=parsed.max_payload_mb,
            max_concurrent=parsed.max_concurrent,
            files_total=0,
            files_done=0,
            files_failed=0,
            records=0,
            log=folder / "job.log",
        )
        job = _Job(view, self._on_change)
        log = JobLog(view.log)
        container = Container(
            model,
            self._fetch,
            folder / "container.log",
            environment=parsed.container_environment,
            launcher=self._launcher,
            care=self._care,
        )
        job.run = TransformRun(parsed, container, self._s3, log, job.report, self._startup_timeout_s)
        with self._lock:
            if parsed.name in self._jobs:
                raise TransformRefused(f"Job name must be unique: there is a transform job {parsed.name} already.")
            self._jobs[parsed.name] = job
        self._on_change(view)  # before the job can say anything else
        threading.Thread(target=_work, args=(job, log), name=f"transform-{parsed.name}", daemon=True).start()
        return view

    def stop(self, name: str) -> None:
        """Stops a job that is InProgress; outputs that are written stay. A finished one is left as it is.

        Raises:
            UnknownJob: there is none of that name.
        """
        job = self._job(name)
        if job.begin_stopping() and job.run:
            job.run.stop()

    def view(self, name: str) -> JobView:
        """The job now.

        Raises:
            UnknownJob: there is none of that name.
        """
        return self._job(name).view

    def wait(self, name: str, timeout_s: float) -> JobView:
        """The job once it has ended, or after `timeout_s` seconds.

        Raises:
            UnknownJob: there is none of that name.
        """
        job = self._job(name)
        job.finished.wait(timeout_s)
        return job.view

    def stop_all(self, timeout_s: float = 60.0) -> None:
        """Stops every job and forgets them: for shutdown and reset."""
        with self._lock:
            jobs, self._jobs = list(self._jobs.values()), {}
        for job in jobs:
            if job.begin_stopping() and job.run:
                job.run.stop()
        for job in jobs:
            job.finished.wait(timeout_s)

    def _job(self, name: str) -> _Job:
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise UnknownJob(f"Could not find transform job {name}.")
        return job


def _work(job: _Job, log: JobLog) -> None:
    """The job's thread: whatever happens, the job ends with a status."""
    status, reason = "Failed", None
    try:
        if job.run:
            reason = job.run.run()
        status = "Failed" if reason else "Completed"
    except Stopped:
        status = "Stopped"
    except Exception as error:
        log.write(traceback.format_exc())
        reason = f"InternalServerError: {error!r}. See {log.path}."
    try:
        job.change(status=status, failure_reason=reason, end_time=datetime.now(UTC))
    finally:
        job.finished.set()
