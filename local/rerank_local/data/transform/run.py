"""One transform job from its first to its last byte: a container of its own, file after file, payloads in parallel.

Files stay in memory while they are worked on. A file of which one payload fails gets no output; the others do, and the
job ends as Failed. Every request that is not answered with 2xx is repeated InvocationsMaxRetries times.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rerank_local.data.container.connections import Reply
from rerank_local.data.container.container import Container
from rerank_local.data.errors import (
    BadFilter,
    ContainerFailed,
    ContainerUnavailable,
    DataPlaneError,
    InputFailed,
    InvocationTimedOut,
    JoinFailed,
    RecordTooLarge,
    ResponseBroken,
)
from rerank_local.data.s3 import S3Client, bucket_and_key
from rerank_local.data.transform.files import InputFile, list_files, read_file
from rerank_local.data.transform.limits import Limits, advertised, settle
from rerank_local.data.transform.records import Payload, assemble, batches, split_records
from rerank_local.data.transform.request import TransformRequest

MAX_REASON = 1024  # characters of FailureReason
_PAUSE_S = 0.1  # before the first repetition of a failed request; doubled each time


class Stopped(Exception):
    """The job was stopped."""


class FileFailed(Exception):
    """One input object cannot be transformed; the text is SageMaker's class of error and the reason."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    files_total: int = 0
    files_done: int = 0
    files_failed: int = 0
    records: int = 0
    limits: Limits | None = None


class JobLog:
    """Lines as SageMaker writes them to a job's data log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, text: str) -> None:
        """Appends one entry with its time in UTC."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        with self.path.open("a", encoding="utf-8") as log:
            log.write(f"{now}:[sagemaker logs]: {text}\n")


class TransformRun:
    """Runs a job; `stop` ends it early.

    Args:
        container: not started yet.
        report: called with the progress after each file, from the thread that runs the job.
    """

    def __init__(
        self,
        request: TransformRequest,
        container: Container,
        s3: Callable[[], S3Client],
        log: JobLog,
        report: Callable[[Progress], None],
        startup_timeout_s: float,
    ) -> None:
        self._request, self._container, self._s3, self._log = request, container, s3, log
        self._report, self._startup_timeout_s = report, startup_timeout_s
        self._stopping = threading.Event()
        self._progress = Progress()

    def stop(self) -> None:
        """Lets the job end as Stopped: what is under way is broken off, what is written stays."""
        self._stopping.set()
        threading.Thread(target=self._container.stop, name="stop-transform", daemon=True).start()

    def run(self) -> str | None:
        """Works through all files; the FailureReason, or None when every one has its output.

        Raises:
            Stopped: `stop` was called before the last file was written.
        """
        try:
            return self._run()
        except InputFailed as error:
            return self._failed(str(error))
        except ContainerFailed as error:
            if self._stopping.is_set():
                raise Stopped from None
            return self._failed(f"AlgorithmError: The primary container failed. {error}")
        finally:
            self._container.stop()

    def _run(self) -> str | None:
        request, s3 = self._request, self._s3()
        files = list_files(s3, request.data_type, request.uri)
        self._advance(files_total=len(files))
        self._container.start(self._startup_timeout_s)
        limits = settle(request, advertised(self._parameters()))
        self._advance(limits=limits)
        self._log.write(str(limits))
        reasons: list[str] = []
        with ThreadPoolExecutor(limits.max_concurrent) as pool:
            for file in files:
                if self._stopping.is_set():
                    raise Stopped
                try:
                    self._transform(s3, file, limits, pool)
                    self._advance(files_done=self._progress.files_done + 1)
                except FileFailed as error:
                    self._log.write(f"{file.bucket}/{file.key}: {error}")
                    reasons.append(f"{error} (s3://{file.bucket}/{file.key})")
                    self._advance(files_failed=self._progress.files_failed + 1)
        if not reasons:
            return None
        kind, _, text = reasons[0].partition(": ")
        return self._failed(f"{kind}: {len(reasons)} of {len(files)} input objects failed, the first with: {text}")

    def _transform(self, s3: S3Client, file: InputFile, limits: Limits, pool: ThreadPoolExecutor) -> None:
        request, started = self._request, time.monotonic()
        try:
            data = read_file(s3, file, compressed=request.gzip)
            records = split_records(data, request.split_type)
            sent = [request.processing.request_record(record) for record in records]
            payloads = list(batches(sent, limits.strategy, limits.max_payload_bytes))
            futures = [pool.submit(self._parts, payload, records) for payload in payloads]
            try:
                parts = [part for future in futures for part in future.result()]
            finally:  # after a failure nothing more of this file is begun
                for future in futures:
                    future.cancel()
        except (InputFailed, RecordTooLarge, BadFilter, JoinFailed) as error:
            raise FileFailed(f"ClientError: {error}") from error
        bucket, prefix = bucket_and_key(request.output_uri)
        key = "/".join(part for part in (prefix.strip("/"), file.output) if part)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": request.kms_key} if request.kms_key else {}
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=assemble(parts, request.assemble_with), **encryption)
        except Exception as error:  # whatever the store raises: its text is what the reader needs
            raise FileFailed(f"ClientError: s3://{bucket}/{key} cannot be written: {error}") from error
        self._advance(records=self._progress.records + len(records))
        took = time.monotonic() - started
        self._log.write(
            f"{file.bucket}/{file.key}: {len(records)} records in {len(payloads)} requests, {took:.2f} s, "
            f"written to s3://{bucket}/{key}"
        )

    def _parts(self, payload: Payload, records: list[bytes]) -> list[bytes]:
        answer = self._post(payload)
        return self._request.processing.output_parts(records[payload.first :][: len(payload.records)], answer)

    def _post(self, payload: Payload) -> bytes:
        request = self._request
        given = {"Content-Type": request.content_type, "Accept": request.accept}
        headers = {name: value for name, value in given.items() if value}
        last = ""
        for attempt in range(request.retries + 1):
            if self._stopping.wait(_PAUSE_S * 2 ** (attempt - 1) if attempt else 0):
                raise Stopped
            try:
                reply = self._container.request(
                    "POST", "/invocations", payload.body, headers, timeout_s=request.timeout_s
                )
            except (ContainerUnavailable, InvocationTimedOut, ResponseBroken) as error:
                last = f"AlgorithmError: {error}"
                continue
            if 200 <= reply.status < 300:
                return reply.body
            side = "ClientError" if 400 <= reply.status < 500 else "AlgorithmError"
            last = f"{side}: {reply.status} {reply.body[:400].decode('utf-8', 'replace')}"
        if self._stopping.is_set():
            raise Stopped
        count = len(payload.records)
        where = (
            f"record {payload.first + 1}" if count == 1 else f"records {payload.first + 1} to {payload.first + count}"
        )
        raise FileFailed(f"{last} [{where}, after {request.retries + 1} attempts]")

    def _parameters(self) -> Reply:
        try:
            return self._container.request("GET", "/execution-parameters", timeout_s=60.0)
        except DataPlaneError as error:
            raise ContainerFailed(f"/execution-parameters: {error}") from error

    def _advance(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        self._report(self._progress)

    def _failed(self, reason: str) -> str:
        self._log.write(reason)
        see = f" See {self._log.path} and {self._container.log}."
        return reason[: MAX_REASON - len(see)] + see
