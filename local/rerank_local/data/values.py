"""The values that travel through the local data plane."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What `docker run` would need.

    Attributes:
        model_data_url: where the bundle is: s3://bucket/key, or the https form of it.
        environment: the container's environment, as in CreateModel.
        image: recorded and shown, never run: the process is started from the bundle's own code/serve.py.
    """

    model_data_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSpec(ModelSpec):
    """A production variant.

    Attributes:
        initial_count: shown only; one process per variant runs here, whatever the instance count.
        startup_timeout_s: ContainerStartupHealthCheckTimeoutInSeconds; None takes the caller's default.
    """

    name: str
    instance_type: str = ""
    initial_count: int = 1
    weight: float = 1.0
    startup_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class VariantView:
    """What runs for a variant right now."""

    name: str
    weight: float
    pid: int | None
    port: int | None
    healthy: bool
    restarts: int
    log: Path


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as `rerank local status` shows it."""

    name: str
    status: str
    failure_reason: str | None
    variants: tuple[VariantView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A transform job at one moment; times are in UTC.

    Attributes:
        batch_strategy, max_payload_mb, max_concurrent: as settled (request, then the container's
            /execution-parameters, then SageMaker's defaults); None until the container has started.
    """

    name: str
    status: str
    failure_reason: str | None
    creation_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    batch_strategy: str | None
    max_payload_mb: int | None
    max_concurrent: int | None
    files_total: int
    files_done: int
    files_failed: int
    records: int
    log: Path
