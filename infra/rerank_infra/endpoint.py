"""The endpoint: one fixed name, updates that watch alarms, counts that scaling keeps."""

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from rerank_infra import statements
from rerank_infra.deployment import Deployment
from rerank_infra.endpoint_config import EndpointConfig
from rerank_infra.execution_role import ExecutionRole
from rerank_infra.rollout import deployment_config


class RerankEndpoint(Construct):
    """Answers requests with the model of its configuration.

    Attributes:
        name: the endpoint's name, as a value that waits for the endpoint.
        arn: its ARN, likewise.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        config: EndpointConfig,
        role: ExecutionRole,
        rollback_alarms: Sequence[cloudwatch.Alarm],
    ) -> None:
        super().__init__(scope, construct_id)
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=deployment.endpoint_name,
            endpoint_config_name=config.name,
            # Otherwise each deploy resets the instance count that scaling has arrived at.
            retain_all_variant_properties=True,
            deployment_config=deployment_config(deployment.rollout, [alarm.alarm_name for alarm in rollback_alarms]),
        )
        if rollback_alarms:
            # Not among the role's own policies: the alarms watch the configuration, whose model waits for those.
            watch = statements.watch_alarms(*(alarm.alarm_arn for alarm in rollback_alarms))
            policy = iam.Policy(self, "WatchAlarms", statements=[watch], roles=[role.role])
            endpoint.node.add_dependency(policy)
        self.name: str = endpoint.attr_endpoint_name
        self.arn: str = endpoint.ref
