"""A deployment: one TOML file, one set of stacks. Tables, keys, units and bounds; no AWS here.

Bounds are those of SageMaker's own service model; what one key demands of another is in `rules.py`.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from rerank_engine.settings import Settings
from rerank_infra.instances import InstanceType

Seconds = Annotated[int, Field(ge=0, le=3600)]
Timeout = Annotated[int, Field(ge=60, le=3600)]
Percent = Annotated[float, Field(gt=0, le=100)]
DeploymentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", max_length=63)]
AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
SubnetId = Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")]
SecurityGroupId = Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]{8,17}$")]
KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$")]
TopicArn = Annotated[str, StringConstraints(pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]+$")]


def _is_instance_type(value: str) -> str:
    return InstanceType.parse(value).value


def _is_schedule(value: str) -> str:
    if not re.fullmatch(r"cron\((\S+ ){5}\S+\)|rate\(\d+ (minute|hour|day)s?\)|at\(\S+\)", value):
        raise ValueError("write cron(minute hour day-of-month month day-of-week year), rate(…) or at(…)")
    return value


def _is_tag_key(value: str) -> str:
    if value.lower().startswith("aws:") or not 1 <= len(value) <= 128:
        raise ValueError("a tag has 1 to 128 characters and does not start with aws:")
    return value


InstanceTypeName = Annotated[str, AfterValidator(_is_instance_type)]
ScheduleExpression = Annotated[str, AfterValidator(_is_schedule)]


class Table(BaseModel):
    """A TOML table: read-only, and a key nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Bundle(Table):
    """The model.tar.gz to serve; a relative path starts at the repository's root."""

    path: str = "dist/model.tar.gz"
    kms_key_arn: KeyArn | None = None  # only when the account was bootstrapped with a customer-managed key


class Container(Table):
    """`hf` is AWS's Hugging Face inference container; anything else is the ECR URI of our own image."""

    image: str = "hf"


class Endpoint(Table):
    """The fleet that answers requests."""

    name: EndpointName | None = None
    instance_type: InstanceTypeName
    initial_instance_count: Annotated[int, Field(ge=1, le=1000)] = 1  # on creation only: scaling owns it afterwards
    startup_timeout_seconds: Timeout = 600
    download_timeout_seconds: Timeout = 600
    inference_ami_version: Literal[
        "auto",
        "al2-ami-sagemaker-inference-gpu-2",
        "al2-ami-sagemaker-inference-gpu-2-1",
        "al2-ami-sagemaker-inference-gpu-3-1",
        "al2023-ami-sagemaker-inference-gpu-4-1",
    ] = "auto"
    volume_size_gb: Annotated[int, Field(ge=1, le=512)] | None = None


class Schedule(Table):
    """From this moment on the fleet has this many instances, until the next schedule says otherwise."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
    at: ScheduleExpression
    timezone: str = "UTC"
    min_instances: int
    max_instances: int


class Scaling(Table):
    """How the number of instances follows the load.

    `concurrency` counts requests inside the containers every 10 s: a reranker's load. `invocations` counts calls
    an instance gets each minute.
    """

    enabled: bool = True
    min_instances: int = 1
    max_instances: Annotated[int, Field(le=1000)] = 2
    metric: Literal["concurrency", "invocations"] = "concurrency"
    target: Annotated[float, Field(gt=0)] | None = None  # requests per instance; or calls per instance and minute
    scale_in_cooldown_seconds: Seconds = 300
    scale_out_cooldown_seconds: Seconds = 60
    schedules: tuple[Schedule, ...] = ()


class Rollout(Table):
    """How a new model replaces the old one while requests keep coming."""

    kind: Literal["rolling", "canary", "linear", "all-at-once"] = "all-at-once"
    step_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    step_instances: Annotated[int, Field(ge=1)] | None = None
    wait_seconds: Seconds = 300  # baking time of each step, with the alarms watched
    termination_wait_seconds: Seconds = 0  # blue/green only: the old fleet is kept that long after the switch
    max_execution_timeout_seconds: Annotated[int, Field(ge=600, le=28800)] = 3600
    alarms: tuple[Literal["errors_5xx", "errors_4xx", "latency"], ...] = ("errors_5xx", "errors_4xx", "latency")


class Network(Table):
    """Isolated containers reach nothing, S3 included; SageMaker itself fetches the model."""

    isolation: bool = True
    subnets: tuple[SubnetId, ...] = ()
    security_groups: tuple[SecurityGroupId, ...] = ()


class Alarms(Table):
    """Who is told, and beyond which values."""

    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    topic_arn: TopicArn | None = None
    evaluation_minutes: Annotated[int, Field(ge=1, le=60)] = 2
    errors_5xx_per_minute: Annotated[int, Field(ge=1)] = 1
    errors_4xx_percent: Percent = 25.0
    errors_4xx_least_requests: Annotated[int, Field(ge=1)] = 20  # a minute with fewer calls says nothing about a rate
    latency_p99_ms: Annotated[int, Field(ge=1, le=60_000)] = 2_000
    overhead_p99_ms: Annotated[int, Field(ge=1, le=60_000)] = 500
    gpu_memory_percent: Percent = 90.0


class Metrics(Table):
    """What the endpoint publishes beyond the standard metrics; both extras are charged as custom metrics."""

    enhanced: bool = False
    publish_every_seconds: Literal[10, 30, 60, 120, 180, 240, 300] = 60
    scrape_container: bool = False  # SageMaker reads the container's /metrics: our own image has it, AWS's does not


class DataCapture(Table):
    """Requests and responses written to S3. Off: they hold users' text."""

    enabled: bool = False
    sampling_percent: Annotated[int, Field(ge=1, le=100)] = 100
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30


class Batch(Table):
    """Defaults of batch transform jobs on this deployment's model."""

    instance_type: InstanceTypeName
    max_payload_mb: Annotated[int, Field(ge=1, le=100)] = 6
    max_concurrent: Annotated[int, Field(ge=1, le=100)] = 1
    timeout_seconds: Annotated[int, Field(ge=60, le=3600)] = 600
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90


class Training(Table):
    """Whether `rerank train --on sagemaker` finds a role here; a role costs nothing."""

    enabled: bool = False


class Retention(Table):
    """What survives `cdk destroy`."""

    removal: Literal["destroy", "retain"] = "retain"
    termination_protection: bool = True
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 30


class Deployment(Table):
    """Everything that differs between two deployments of this repository."""

    name: DeploymentName
    account: AccountId | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    endpoint: Endpoint
    batch: Batch
    bundle: Bundle = Bundle()
    container: Container = Container()
    settings: dict[str, str | int | float | bool] = {}
    scaling: Scaling = Scaling()
    rollout: Rollout = Rollout()
    network: Network = Network()
    alarms: Alarms = Alarms()
    metrics: Metrics = Metrics()
    data_capture: DataCapture = DataCapture()
    training: Training = Training()
    retention: Retention = Retention()
    tags: dict[Annotated[str, AfterValidator(_is_tag_key)], Annotated[str, StringConstraints(max_length=256)]] = {}

    @property
    def endpoint_name(self) -> str:
        """The one fixed name: callers know it. Models and endpoint configurations are named by CloudFormation."""
        return self.endpoint.name or f"rerank-{self.name}"

    @property
    def instance(self) -> InstanceType:
        """The endpoint's instance type, taken apart."""
        return InstanceType.parse(self.endpoint.instance_type)

    @property
    def batch_instance(self) -> InstanceType:
        """The batch jobs' instance type, taken apart."""
        return InstanceType.parse(self.batch.instance_type)

    @property
    def uses_hf_image(self) -> bool:
        """Whether AWS's Hugging Face container serves the model, rather than our own image."""
        return self.container.image == "hf"

    @property
    def bundle_path(self) -> Path:
        """Where the model.tar.gz lies, before the root is put in front of a relative one."""
        return Path(self.bundle.path)

    def engine_settings(self) -> Settings:
        """The container's settings; `rules.py` has made sure they parse."""
        return Settings.from_env({name: environment_text(value) for name, value in self.settings.items()})


def environment_text(value: str | int | float | bool) -> str:
    """A TOML value as an environment variable's text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
