"""A deployment: one TOML file, one set of stacks. Tables, keys, units and bounds; no AWS here.

Bounds are those of SageMaker's own service model; what one key demands of another is in `rules`. The text under a key
is its meaning in docs/reference/deployment.md.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rerank_engine.settings import Settings
from rerank_infra.instances import InstanceType
from rerank_infra.values import (
    AccountId,
    DeploymentName,
    EmailAddress,
    EndpointName,
    HostImage,
    InstanceTypeName,
    KeyArn,
    Percent,
    Region,
    ScheduleExpression,
    ScheduleName,
    Seconds,
    SecurityGroupId,
    SubnetId,
    TagKey,
    TagValue,
    Timeout,
    TopicArn,
)


class Table(BaseModel):
    """A TOML table: read-only, and a key nobody knows is an error."""

    # inf and nan are TOML, and no template has a place for them.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Bundle(Table):
    """The model.tar.gz to serve; a relative path starts at the repository's root."""

    path: str = "dist/model.tar.gz"
    """The model.tar.gz to serve; a relative path starts at the repository's root."""
    kms_key_arn: KeyArn | None = None
    """Key of the bootstrap bucket, only when the account was bootstrapped with a customer-managed one."""


class Container(Table):
    """`hf` is AWS's Hugging Face inference container; anything else is the ECR URI of our own image."""

    image: str = "hf"
    """`hf` is AWS's Hugging Face inference container; anything else is the ECR URI of our own image."""


class Endpoint(Table):
    """The fleet that answers requests."""

    name: EndpointName | None = None
    """Name that callers use; without one it is `rerank-` and the deployment's name."""
    instance_type: InstanceTypeName
    """SageMaker instance type that answers requests."""
    allow_unlisted_instance_type: bool = False
    """Take an instance type that is not on the kit's list, because it is newer than the list."""
    initial_instance_count: Annotated[int, Field(ge=1, le=1000)] = 1
    """Instances on creation only: scaling owns the number afterwards."""
    startup_timeout_seconds: Timeout = 600
    """Seconds until a new container has to answer its health check."""
    download_timeout_seconds: Timeout = 600
    """Seconds that SageMaker may take to fetch the bundle."""
    inference_ami_version: HostImage = "auto"
    """Host image, which brings the GPU driver; `auto` picks the one that fits the container's CUDA."""
    volume_size_gb: Annotated[int, Field(ge=1, le=512)] | None = None
    """Size of each instance's volume in GB, for types without local disks; without it SageMaker chooses."""


class Schedule(Table):
    """From this moment on the fleet has this many instances, until the next schedule says otherwise."""

    name: ScheduleName
    """Name of the schedule, each its own."""
    at: ScheduleExpression
    """When: `cron(minute hour day-of-month month day-of-week year)`, `rate(…)` or `at(…)`."""
    timezone: str = "UTC"
    """Time zone of `at`, as `Europe/Berlin`."""
    min_instances: int
    """Least number of instances from then on."""
    max_instances: int
    """Largest number of instances from then on."""


class Scaling(Table):
    """How the number of instances follows the load.

    `concurrency` counts requests inside the containers every 10 s: a reranker's load. `invocations` counts calls
    an instance gets each minute.
    """

    enabled: bool = True
    """Whether the number of instances changes at all."""
    min_instances: int = 1
    """Least number of instances."""
    max_instances: Annotated[int, Field(le=1000)] = 2
    """Largest number of instances."""
    metric: Literal["concurrency", "invocations"] = "concurrency"
    """What is counted: requests inside the containers, or calls an instance gets each minute."""
    target: Annotated[float, Field(gt=0)] | None = None
    """Requests per instance (4 without it); or calls per instance and minute, which has no default."""
    scale_in_cooldown_seconds: Seconds = 300
    """Seconds between two steps down."""
    scale_out_cooldown_seconds: Seconds = 60
    """Seconds between two steps up."""
    schedules: tuple[Schedule, ...] = ()
    """Ranges by the clock: tables `[[scaling.schedules]]`."""


class Rollout(Table):
    """How a new model replaces the old one while requests keep coming."""

    kind: Literal["rolling", "canary", "linear", "all-at-once"] = "all-at-once"
    """How the fleet is replaced: batch by batch, or by a second fleet that takes over in one or more steps."""
    step_percent: Annotated[int, Field(ge=1, le=100)] | None = None
    """Size of a step in percent of the fleet; this or `step_instances`."""
    step_instances: Annotated[int, Field(ge=1)] | None = None
    """Size of a step in instances; this or `step_percent`."""
    wait_seconds: Seconds = 300
    """Seconds that each step bakes, with the alarms watched."""
    termination_wait_seconds: Seconds = 0
    """Seconds that the old fleet is kept after the switch; not for rolling updates, which keep none."""
    max_execution_timeout_seconds: Annotated[int, Field(ge=600, le=28800)] = 3600
    """Seconds after which an unfinished update is rolled back."""
    alarms: tuple[Literal["errors_5xx", "errors_4xx", "latency"], ...] = ("errors_5xx", "errors_4xx", "latency")
    """Alarms that roll an update back."""


class Network(Table):
    """Isolated containers reach nothing, S3 included; SageMaker itself fetches the model."""

    isolation: bool = True
    """Whether the containers are cut off from every network, S3 included."""
    subnets: tuple[SubnetId, ...] = ()
    """Subnets of your VPC to run in, in two availability zones at least."""
    security_groups: tuple[SecurityGroupId, ...] = ()
    """Security groups of the instances, together with `subnets`."""


class Alarms(Table):
    """Who is told, and beyond which values."""

    email: EmailAddress | None = None
    """Address that the alarms are sent to, once its owner has confirmed."""
    topic_arn: TopicArn | None = None
    """SNS topic of yours that the alarms go to, in place of one of the deployment's own."""
    evaluation_minutes: Annotated[int, Field(ge=1, le=60)] = 2
    """Minutes in a row that a threshold has to be reached."""
    errors_5xx_per_minute: Annotated[int, Field(ge=1)] = 1
    """Server errors a minute."""
    errors_4xx_percent: Percent = 25.0
    """Refused calls, in percent of all calls."""
    errors_4xx_least_requests: Annotated[int, Field(ge=1)] = 20
    """Calls a minute below which the share of refused ones counts as 0, because few calls say nothing about a rate."""
    latency_p99_ms: Annotated[int, Field(ge=1, le=60_000)] = 2_000
    """Model latency of the slowest hundredth of calls, in milliseconds."""
    overhead_p99_ms: Annotated[int, Field(ge=1, le=60_000)] = 500
    """SageMaker's own share of the latency, of the slowest hundredth of calls, in milliseconds."""
    gpu_memory_percent: Percent = 90.0
    """GPU memory in use, in percent; no alarm where there is no GPU."""


class Metrics(Table):
    """What the endpoint publishes beyond the standard metrics; both extras are charged as custom metrics."""

    enhanced: bool = False
    """Metrics per instance and container, charged as custom metrics."""
    publish_every_seconds: Literal[10, 30, 60, 120, 180, 240, 300] = 60
    """Seconds between two values of the instances' metrics."""
    scrape_container: bool = False
    """SageMaker reads the container's /metrics, charged as custom metrics: our own image has it, AWS's does not."""


class DataCapture(Table):
    """Requests and responses written to S3. Off: they hold users' text."""

    enabled: bool = False
    """Whether requests and responses are kept."""
    sampling_percent: Annotated[int, Field(ge=1, le=100)] = 100
    """Share of the calls that is kept, in percent."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days until a captured file is deleted."""


class Batch(Table):
    """Defaults of batch transform jobs on this deployment's model."""

    instance_type: InstanceTypeName
    """SageMaker instance type of the jobs."""
    allow_unlisted_instance_type: bool = False
    """Take an instance type that is not on the kit's list, because it is newer than the list."""
    max_payload_mb: Annotated[int, Field(ge=1, le=100)] = 6
    """Size of one call's body in MB; times `max_concurrent` at most 100."""
    max_concurrent: Annotated[int, Field(ge=1, le=100)] = 1
    """Calls that one instance works on at a time."""
    timeout_seconds: Annotated[int, Field(ge=60, le=3600)] = 600
    """Seconds that one call may take."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days until a job's output is deleted."""


class Training(Table):
    """Whether `rerank train --on sagemaker` finds a role here; a role costs nothing."""

    enabled: bool = False
    """Whether there is a role for training jobs."""


class Retention(Table):
    """What survives `cdk destroy`."""

    removal: Literal["destroy", "retain"] = "retain"
    """Whether `cdk destroy` deletes buckets, key and logs, or leaves them in the account."""
    termination_protection: bool = True
    """Whether CloudFormation refuses to delete the stacks."""
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 30
    """Days that the endpoint's logs are kept."""


class Deployment(Table):
    """Everything that differs between two deployments of this repository."""

    name: DeploymentName
    """Name of the deployment and of its file; part of every stack's name."""
    account: AccountId | None = None
    """Account to deploy into; without it the caller's."""
    region: Region | None = None
    """Region to deploy into; without it the caller's."""
    endpoint: Endpoint
    """The fleet that answers requests."""
    batch: Batch
    """Defaults of batch transform jobs."""
    bundle: Bundle = Bundle()
    """The model."""
    container: Container = Container()
    """The image that runs it."""
    settings: dict[str, str | int | float | bool] = {}
    """Settings of the engine, `RERANK_…`; the README's table has names and bounds."""
    scaling: Scaling = Scaling()
    """How the number of instances follows the load."""
    rollout: Rollout = Rollout()
    """How an update goes through the fleet."""
    network: Network = Network()
    """What the containers reach."""
    alarms: Alarms = Alarms()
    """Who is told, and beyond which values."""
    metrics: Metrics = Metrics()
    """What is published beyond the standard metrics."""
    data_capture: DataCapture = DataCapture()
    """Requests and responses written to S3."""
    training: Training = Training()
    """Training jobs on SageMaker."""
    retention: Retention = Retention()
    """What survives `cdk destroy`."""
    tags: dict[TagKey, TagValue] = {}
    """Tags of every resource, beside `rerank:deployment`."""

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
