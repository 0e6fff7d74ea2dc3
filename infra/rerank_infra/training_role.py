"""The role that training jobs take on: `rerank train` finds it through SSM."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from rerank_infra import nag, statements
from rerank_infra.batch_bucket import TRAINING_PREFIX
from rerank_infra.image import TRAINING_REPOSITORY, aws_repository

LOG_GROUP = "/aws/sagemaker/TrainingJobs"  # one for all jobs of the account: SageMaker's, not this deployment's


class TrainingRole(Construct):
    """A role that reads and writes one prefix of one bucket, and pulls AWS's PyTorch training container."""

    def __init__(
        self, scope: Construct, construct_id: str, *, deployment_name: str, bucket_arn: str, key_arn: str
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self.role = iam.Role(
            self,
            "Role",
            description=f"SageMaker trains models for the reranker {deployment_name} with it",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        objects_arn = f"{bucket_arn}/{TRAINING_PREFIX}*"
        log_group_arn = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{LOG_GROUP}"
        _, repository_arn = aws_repository(TRAINING_REPOSITORY, region=stack.region)
        iam.Policy(
            self,
            "Policy",
            roles=[self.role],
            statements=[
                iam.PolicyStatement(
                    sid="ListTraining",
                    actions=["s3:ListBucket"],
                    resources=[bucket_arn],
                    conditions={"StringLike": {"s3:prefix": [f"{TRAINING_PREFIX}*"]}},
                ),
                iam.PolicyStatement(  # data, source and state are read; state and result are written
                    sid="ReadAndWriteTraining",
                    actions=["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
                    resources=[objects_arn],
                ),
                *statements.use_key_for_volumes(key_arn),
                statements.log_in_to_ecr(),
                statements.pull_image(repository_arn),
                statements.write_logs(log_group_arn),
                statements.put_metrics(LOG_GROUP),
            ],
        )
        nag.accept_wildcard(self, "*", "ECR's login and metrics (held by namespace) have no ARN to name.")
        nag.accept_wildcard(self, objects_arn, "Which objects a job reads and writes is known when it is started.")
        nag.accept_wildcard(
            self, f"{log_group_arn}:log-stream:*", "Log streams are named after jobs that do not exist yet."
        )
