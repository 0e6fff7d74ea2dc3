"""The metrics of an endpoint, by name, unit and dimension. Latencies are in microseconds, as SageMaker reports them.

`config_name` narrows a metric to the fleet that runs one endpoint configuration: during an update, the new one.
"""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from rerank_infra.endpoint_config import VARIANT

MINUTE = cdk.Duration.minutes(1)
CALLS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"


class EndpointMetrics:
    """Metrics of one endpoint's variant."""

    def __init__(self, endpoint_name: str, *, config_name: str | None = None) -> None:
        self._dimensions = {"EndpointName": endpoint_name, "VariantName": VARIANT}
        if config_name is not None:
            self._dimensions["EndpointConfigName"] = config_name

    def call(self, name: str, statistic: str, *, label: str | None = None) -> cloudwatch.Metric:
        """A metric of the calls: Invocations, ModelLatency, …"""
        return self._metric(CALLS, name, statistic, label)

    def instance(self, name: str, *, label: str | None = None) -> cloudwatch.Metric:
        """A metric of the instances, in percent of one processor: CPUUtilization, GPUMemoryUtilization, …"""
        return self._metric(INSTANCES, name, "Average", label)

    def errors_4xx_percent(self, *, least_requests: int) -> cloudwatch.MathExpression:
        """Share of calls refused with 4xx; 0 in a minute with fewer calls than `least_requests`."""
        return cloudwatch.MathExpression(
            expression=f"IF(calls >= {least_requests}, 100 * errors / calls, 0)",
            using_metrics={"calls": self.call("Invocations", "Sum"), "errors": self.call("Invocation4XXErrors", "Sum")},
            label="4xx, % of calls",
            period=MINUTE,
        )

    def _metric(self, namespace: str, name: str, statistic: str, label: str | None) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map=self._dimensions,
            statistic=statistic,
            period=MINUTE,
            label=label or name,
        )
