"""What outlives a model: key, buckets, log group, alarm topic, training role. Only wiring."""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from rerank_infra.alarm_topic import AlarmTopic
from rerank_infra.batch_bucket import AccessLogBucket, BatchBucket
from rerank_infra.deployment import Deployment
from rerank_infra.encryption_key import EncryptionKey
from rerank_infra.endpoint_logs import EndpointLogs
from rerank_infra.parameters import Parameters
from rerank_infra.training_role import TrainingRole


class FoundationStack(cdk.Stack):
    """Rerank-<deployment>-Foundation."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment, **stack: Any) -> None:
        super().__init__(scope, construct_id, **stack)
        retain = deployment.retention.removal == "retain"
        removal = cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY
        self.key = EncryptionKey(self, "Encryption", deployment_name=deployment.name, removal=removal).key
        self.topic = AlarmTopic(self, "Alarms", alarms=deployment.alarms, key=self.key).topic
        self.logs = EndpointLogs(
            self,
            "EndpointLogs",
            endpoint_name=deployment.endpoint_name,
            key=self.key,
            days=deployment.retention.log_days,
            removal=removal,
        ).log_group
        batch = BatchBucket(
            self,
            "Batch",
            key=self.key,
            access_logs=AccessLogBucket(self, "AccessLogs", removal=removal).bucket if retain else None,
            removal=removal,
            output_days=deployment.batch.keep_days,
            capture_days=deployment.data_capture.keep_days,
        )
        self.batch_bucket = batch.bucket
        values = {
            "kms-key-arn": self.key.key_arn,
            "batch-input-uri": batch.input_uri,
            "batch-output-uri": batch.output_uri,
        }
        if deployment.training.enabled:
            role = TrainingRole(
                self,
                "Training",
                deployment_name=deployment.name,
                bucket_arn=self.batch_bucket.bucket_arn,
                key_arn=self.key.key_arn,
            ).role
            values["training-role-arn"] = role.role_arn
            cdk.CfnOutput(self, "TrainingRoleArn", value=role.role_arn)
        Parameters(self, "Parameters", deployment_name=deployment.name, values=values)
        cdk.CfnOutput(self, "BatchBucketName", value=self.batch_bucket.bucket_name)
        cdk.CfnOutput(self, "AlarmTopicArn", value=self.topic.topic_arn)
