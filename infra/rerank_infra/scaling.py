"""The number of instances, following the load and the clock."""

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_iam as iam
from constructs import Construct

from rerank_infra.deployment import Scaling
from rerank_infra.endpoint import RerankEndpoint
from rerank_infra.endpoint_config import VARIANT

_METRICS = {
    "concurrency": autoscaling.PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION,
    "invocations": autoscaling.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE,
}
# Requests inside one container at a time: enough to keep it busy, few enough that none waits long.
_CONCURRENCY_TARGET = 4.0


class EndpointScaling(Construct):
    """Target tracking on one metric, and scheduled minima and maxima."""

    def __init__(self, scope: Construct, construct_id: str, *, scaling: Scaling, endpoint: RerankEndpoint) -> None:
        super().__init__(scope, construct_id)
        target = autoscaling.ScalableTarget(
            self,
            "Target",
            service_namespace=autoscaling.ServiceNamespace.SAGEMAKER,
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            # Through the endpoint's attribute: registered after it exists, deregistered before it is deleted.
            resource_id=f"endpoint/{endpoint.name}/variant/{VARIANT}",
            min_capacity=scaling.min_instances,
            max_capacity=scaling.max_instances,
            role=self._service_linked_role(),
        )
        target.scale_to_track_metric(
            "Load",
            predefined_metric=_METRICS[scaling.metric],
            target_value=scaling.target or _CONCURRENCY_TARGET,
            scale_in_cooldown=cdk.Duration.seconds(scaling.scale_in_cooldown_seconds),
            scale_out_cooldown=cdk.Duration.seconds(scaling.scale_out_cooldown_seconds),
        )
        for schedule in scaling.schedules:
            target.scale_on_schedule(
                schedule.name,
                schedule=autoscaling.Schedule.expression(schedule.at),
                min_capacity=schedule.min_instances,
                max_capacity=schedule.max_instances,
                time_zone=cdk.TimeZone.of(schedule.timezone),
            )

    def _service_linked_role(self) -> iam.IRole:
        """The role AWS makes for itself on first use; without it CDK adds one that nothing ever assumes."""
        arn = (
            f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:role/aws-service-role/"
            "sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        )
        role: iam.IRole = iam.Role.from_role_arn(self, "ServiceLinkedRole", arn)
        return role
