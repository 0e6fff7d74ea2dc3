"""The model and everything that runs it. Only wiring."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from constructs import Construct

from rerank_infra import environment, nag, statements
from rerank_infra.alarms import FleetAlarms, RollbackAlarms
from rerank_infra.batch_model import BatchModel
from rerank_infra.bundle_asset import BundleAsset
from rerank_infra.dashboard import EndpointDashboard
from rerank_infra.data_capture import write_captures
from rerank_infra.deployment import Deployment
from rerank_infra.endpoint import RerankEndpoint
from rerank_infra.endpoint_config import EndpointConfig
from rerank_infra.endpoint_logs import log_group_name
from rerank_infra.execution_role import ExecutionRole
from rerank_infra.foundation_stack import FoundationStack
from rerank_infra.image import resolve
from rerank_infra.invoke_policy import InvokePolicy
from rerank_infra.metrics import CALLS, INSTANCES
from rerank_infra.model import RerankModel
from rerank_infra.parameters import Parameters
from rerank_infra.scaling import EndpointScaling


class EndpointStack(cdk.Stack):
    """Rerank-<deployment>-Endpoint."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        bundle_path: Path,
        foundation: FoundationStack,
        **stack: Any,
    ) -> None:
        super().__init__(scope, construct_id, **stack)
        self.add_stack_dependency(foundation)
        key_arn, bucket_arn = foundation.key.key_arn, foundation.export_value(foundation.batch_bucket.bucket_arn)
        bundle = BundleAsset(self, "Bundle", path=bundle_path)
        image = resolve(deployment.container.image, region=self.region, instance=deployment.instance)
        captures = [write_captures(bucket_arn)] if deployment.data_capture.enabled else []
        role = ExecutionRole(
            self,
            "Execution",
            purpose="the endpoint",
            deployment=deployment,
            bundle=bundle,
            image=image,
            log_group_arn=f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:"
            + log_group_name(deployment.endpoint_name),
            metric_namespaces=[CALLS, INSTANCES],
            extra=[*statements.use_key_for_volumes(key_arn), *captures],
        )
        if captures:
            nag.accept_wildcard(role, captures[0].resources[0], "Captured requests are named by date and random ids.")
        model = RerankModel(
            self,
            "Realtime",
            role=role,
            image=image,
            bundle=bundle,
            environment=environment.realtime(deployment),
            network=deployment.network,
        )
        config = EndpointConfig(
            self,
            "Configuration",
            deployment=deployment,
            model=model,
            key_arn=key_arn,
            bucket=foundation.batch_bucket,
        )
        rollback = RollbackAlarms(
            self, "Rollback", deployment=deployment, config_name=config.name, topic=foundation.topic
        )
        endpoint = RerankEndpoint(
            self, "Endpoint", deployment=deployment, config=config, role=role, rollback_alarms=rollback.alarms
        )
        if deployment.scaling.enabled:
            EndpointScaling(self, "Scaling", scaling=deployment.scaling, endpoint=endpoint)
        fleet = FleetAlarms(self, "Fleet", deployment=deployment, topic=foundation.topic)
        EndpointDashboard(self, "Overview", deployment=deployment, alarms=[*fleet.alarms, *rollback.alarms])
        batch = BatchModel(
            self, "BatchTransform", deployment=deployment, bundle=bundle, bucket_arn=bucket_arn, key_arn=key_arn
        )
        invoke = InvokePolicy(self, "Invoke", endpoint_name=deployment.endpoint_name)
        Parameters(
            self,
            "Parameters",
            deployment_name=deployment.name,
            values={
                "endpoint-name": endpoint.name,
                "endpoint-arn": endpoint.arn,
                "bundle-sha256": bundle.sha256,
                "batch-model-name": batch.model.name,
                "batch-instance-type": deployment.batch.instance_type,
                "batch-max-payload-mb": str(deployment.batch.max_payload_mb),
                "batch-max-concurrent": str(deployment.batch.max_concurrent),
                "batch-timeout-seconds": str(deployment.batch.timeout_seconds),
            },
        )
        for name, value in {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "BatchModelName": batch.model.name,
            "InvokePolicyArn": invoke.policy.managed_policy_arn,
            "BundleSha256": bundle.sha256,
        }.items():
            cdk.CfnOutput(self, name, value=value)
