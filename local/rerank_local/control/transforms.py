"""Batch transform jobs: moto keeps the record, the data plane does the work and tells its progress."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from rerank_local.control.endpoints import Refused, model_spec
from rerank_local.data.errors import TransformRefused, UnknownJob
from rerank_local.data.values import JobView, ModelSpec

_RUNNING = ("InProgress", "Stopping")


class Jobs(Protocol):
    """What runs transform jobs: `data.transform.TransformJobs`, or a double in tests."""

    def create(self, request: Mapping[str, Any], model: ModelSpec) -> JobView:
        """Starts a job; TransformRefused when the request cannot work."""

    def stop(self, name: str) -> None:
        """Asks a job to stop."""


class Transforms:
    """What SageMaker does to transform jobs; without `jobs` they are Completed at once, with nothing done."""

    def __init__(self) -> None:
        self.jobs: Jobs | None = None
        self._records: dict[str, Any] = {}

    def create(self, backend: Any, request: Mapping[str, Any], create: Any) -> Any:
        """CreateTransformJob; `create` is moto's way to make the record, which is returned.

        Raises:
            Refused: the model is unknown, the name is taken, or the request cannot work.
        """
        name = request["TransformJobName"]
        if name in backend.transform_jobs:
            raise NameTaken(
                "Job name must be unique within an AWS account and region, and a job with this name already exists "
                f"({backend.transform_jobs[name].arn})"
            )
        model = model_spec(backend, request["ModelName"]) if self.jobs else None
        if request["ModelName"] not in backend._models:
            raise Refused(f'Could not find model "{request["ModelName"]}".')
        record = create()
        record.failure_reason = None
        if self.jobs is not None and model is not None:
            self._records[name] = record
            record.transform_job_status = "InProgress"
            record.transform_start_time = record.transform_end_time = None
            try:
                self.jobs.create(request, model)  # tells its state through `changed`, from the first on
            except TransformRefused as error:
                del backend.transform_jobs[name], self._records[name]
                raise Refused(str(error)) from error
        return record

    def stop(self, backend: Any, name: str) -> None:
        """StopTransformJob; a finished job stays as it is."""
        record = backend.transform_jobs.get(name)
        if record is None:
            raise NotFound(f"Could not find job to update with name {name}.")
        if record.transform_job_status not in _RUNNING:
            raise Refused(
                f"The request was rejected because the transform job is in status {record.transform_job_status}."
            )
        if self.jobs is not None:
            try:
                self.jobs.stop(name)
            except UnknownJob as error:
                raise NotFound(str(error)) from error

    def changed(self, view: JobView) -> None:
        """Takes over the state of a job; the data plane calls it at every step."""
        record = self._records.get(view.name)
        if record is None:
            return
        record.transform_start_time = _naive(view.start_time)
        record.transform_end_time = _naive(view.end_time)
        record.last_modified_time = _naive(view.end_time) or _naive(view.start_time) or record.last_modified_time
        record.failure_reason = view.failure_reason
        record.transform_job_status = view.status  # last: whoever polls for it sees the rest settled

    def forget(self) -> None:
        """Drops every record, when moto is reset."""
        self._records.clear()


class NameTaken(Refused):
    """A job of this name exists: ResourceInUse."""


class NotFound(Refused):
    """No job of this name: ResourceNotFound."""


def _naive(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=None) if time is not None else None
