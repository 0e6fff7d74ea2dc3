"""The model batch transform jobs name, with a role that reads and writes the batch bucket."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from rerank_infra import environment, nag, statements
from rerank_infra.batch_bucket import INPUT_PREFIX, OUTPUT_PREFIX
from rerank_infra.bundle_asset import BundleAsset
from rerank_infra.deployment import Deployment
from rerank_infra.execution_role import ExecutionRole
from rerank_infra.image import resolve
from rerank_infra.model import RerankModel

_LOG_GROUP = "/aws/sagemaker/TransformJobs"  # one for all jobs of the account: SageMaker's, not this deployment's


class BatchModel(Construct):
    """Same bundle, larger payloads, longer deadlines; a role apart from the endpoint's."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        deployment: Deployment,
        bundle: BundleAsset,
        bucket_arn: str,
        key_arn: str,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        image = resolve(deployment.container.image, region=stack.region, instance=deployment.batch_instance)
        role = ExecutionRole(
            self,
            "Execution",
            purpose="batch jobs",
            deployment=deployment,
            bundle=bundle,
            image=image,
            log_group_arn=f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{_LOG_GROUP}",
            metric_namespaces=["/aws/sagemaker/TransformJobs"],
            extra=[*_read_and_write(bucket_arn), *statements.use_key_for_volumes(key_arn)],
        )
        for prefix in (INPUT_PREFIX, OUTPUT_PREFIX):
            nag.accept_wildcard(
                self, f"{bucket_arn}/{prefix}*", "Which objects a job reads and writes is known when it is started."
            )
        self.model = RerankModel(
            self,
            "Batch",
            role=role,
            image=image,
            bundle=bundle,
            environment=environment.batch(deployment),
            network=deployment.network,
        )


def _read_and_write(bucket_arn: str) -> list[iam.PolicyStatement]:
    return [
        iam.PolicyStatement(
            sid="ListInputs",
            actions=["s3:ListBucket"],
            resources=[bucket_arn],
            conditions={"StringLike": {"s3:prefix": [f"{INPUT_PREFIX}*"]}},
        ),
        iam.PolicyStatement(sid="ReadInputs", actions=["s3:GetObject"], resources=[f"{bucket_arn}/{INPUT_PREFIX}*"]),
        iam.PolicyStatement(
            sid="WriteOutputs",
            actions=["s3:PutObject", "s3:AbortMultipartUpload"],
            resources=[f"{bucket_arn}/{OUTPUT_PREFIX}*"],
        ),
    ]
