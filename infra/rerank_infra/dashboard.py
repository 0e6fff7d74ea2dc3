"""One page to look at: calls, errors, latency, concurrency, processors, alarms."""

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from rerank_infra.deployment import Deployment
from rerank_infra.metrics import EndpointMetrics

_WIDTH, _HEIGHT = 8, 6  # of 24 columns: three graphs to a row


class EndpointDashboard(Construct):
    """A dashboard named by CloudFormation."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment: Deployment, alarms: Sequence[cloudwatch.IAlarm]
    ) -> None:
        super().__init__(scope, construct_id)
        metrics = EndpointMetrics(deployment.endpoint_name)
        limits = deployment.alarms
        calls = [
            _graph("Calls per minute", metrics.call("Invocations", "Sum")),
            _graph(
                "Errors per minute",
                metrics.call("Invocation4XXErrors", "Sum", label="4xx"),
                metrics.call("Invocation5XXErrors", "Sum", label="5xx"),
                right=[metrics.errors_4xx_percent(least_requests=limits.errors_4xx_least_requests)],
            ),
            _graph("Requests inside a container", metrics.call("ConcurrentRequestsPerModel", "Maximum", label="most")),
        ]
        latency = [
            _graph("Model latency, µs", *(metrics.call("ModelLatency", p, label=p) for p in ("p50", "p90", "p99"))),
            _graph("SageMaker's overhead, µs", *(metrics.call("OverheadLatency", p, label=p) for p in ("p50", "p99"))),
            cloudwatch.AlarmStatusWidget(alarms=list(alarms), title="Alarms", width=_WIDTH, height=_HEIGHT),
        ]
        instances = [
            _graph("CPU, % of one core", metrics.instance("CPUUtilization")),
            _graph("Memory and disk, %", metrics.instance("MemoryUtilization"), metrics.instance("DiskUtilization")),
        ]
        if deployment.instance.has_gpu:
            gpu = [metrics.instance(name) for name in ("GPUUtilization", "GPUMemoryUtilization")]
            instances.append(_graph("GPU, %", *gpu))
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", widgets=[calls, latency, instances])


def _graph(title: str, *left: cloudwatch.IMetric, right: Sequence[cloudwatch.IMetric] = ()) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(left), right=list(right), width=_WIDTH, height=_HEIGHT)
