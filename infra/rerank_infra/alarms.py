"""Alarms on the endpoint, and on the new fleet of an update."""

from collections.abc import Mapping

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from rerank_infra.deployment import Alarms, Deployment
from rerank_infra.metrics import EndpointMetrics

_MICROSECONDS_PER_MS = 1000
# metric, threshold, what an alarm means
_Maker = tuple[cloudwatch.Metric | cloudwatch.MathExpression, float, str]


class RollbackAlarms(Construct):
    """Alarms on the fleet of one endpoint configuration, watched while it replaces another.

    Only the new fleet: an old one that is already failing must not stop the update that mends it. They refer to the
    endpoint by its name and to the configuration by its attribute, and so exist before the endpoint does.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, config_name: str, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, construct_id)
        metrics = EndpointMetrics(deployment.endpoint_name, config_name=config_name)
        makers = _request_alarms(deployment.alarms, metrics)
        prefix = f"Reranker {deployment.name}, new fleet"
        self.alarms = [
            _alarm(self, kind, makers[kind], deployment.alarms, topic, prefix) for kind in deployment.rollout.alarms
        ]


class FleetAlarms(Construct):
    """Alarms on the endpoint as its callers see it, and on its memory."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        limits, metrics = deployment.alarms, EndpointMetrics(deployment.endpoint_name)
        makers = dict(_request_alarms(limits, metrics))
        makers["overhead"] = (
            metrics.call("OverheadLatency", "p99"),
            limits.overhead_p99_ms * _MICROSECONDS_PER_MS,
            f"SageMaker adds more than {limits.overhead_p99_ms} ms (p99)",
        )
        if deployment.instance.has_gpu:
            makers["gpu_memory"] = (
                metrics.instance("GPUMemoryUtilization"),
                limits.gpu_memory_percent,
                f"GPU memory above {limits.gpu_memory_percent:g} %",
            )
        prefix = f"Reranker {deployment.name}"
        self.alarms = [_alarm(self, kind, maker, limits, topic, prefix) for kind, maker in makers.items()]


def _request_alarms(limits: Alarms, metrics: EndpointMetrics) -> Mapping[str, _Maker]:
    return {
        "errors_5xx": (
            metrics.call("Invocation5XXErrors", "Sum"),
            limits.errors_5xx_per_minute,
            f"{limits.errors_5xx_per_minute} or more server errors (5xx) a minute",
        ),
        # A rate, not a count: AWS's container reports a model that fails to load as 400, and callers err too.
        "errors_4xx": (
            metrics.errors_4xx_percent(least_requests=limits.errors_4xx_least_requests),
            limits.errors_4xx_percent,
            f"{limits.errors_4xx_percent:g} % or more of the calls refused (4xx)",
        ),
        "latency": (
            metrics.call("ModelLatency", "p99"),
            limits.latency_p99_ms * _MICROSECONDS_PER_MS,
            f"model latency of {limits.latency_p99_ms} ms or more (p99)",
        ),
    }


def _alarm(
    scope: Construct, kind: str, maker: _Maker, limits: Alarms, topic: sns.ITopic, prefix: str
) -> cloudwatch.Alarm:
    metric, threshold, meaning = maker
    alarm = cloudwatch.Alarm(
        scope,
        "".join(part.title() for part in kind.split("_")),
        metric=metric,
        threshold=threshold,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=limits.evaluation_minutes,
        datapoints_to_alarm=limits.evaluation_minutes,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # no calls, no complaint
        alarm_description=f"{prefix}: {meaning}.",
    )
    alarm.add_alarm_action(actions.SnsAction(topic))
    return alarm
