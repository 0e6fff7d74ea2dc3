"""The bucket batch and training jobs read from and write to."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from rerank_infra import nag

INPUT_PREFIX = "input/"
OUTPUT_PREFIX = "output/"
CAPTURE_PREFIX = "capture/"
TRAINING_PREFIX = "training/"  # of training jobs: data, source, state, results; nothing of it expires


class AccessLogBucket(Construct):
    """Where the batch bucket's access logs go."""

    def __init__(self, scope: Construct, construct_id: str, *, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,  # log delivery cannot write to a bucket with a CMK
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(id="expire-access-logs", expiration=cdk.Duration.days(90))],
            removal_policy=removal,
        )


class BatchBucket(Construct):
    """A private, encrypted, TLS-only bucket; with `access_logs` it records who reads it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        access_logs: s3.IBucket | None,
        removal: cdk.RemovalPolicy,
        output_days: int,
        capture_days: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            # Versions guard inputs worth keeping; without them a sandbox bucket is emptied with one `aws s3 rm`.
            versioned=removal is cdk.RemovalPolicy.RETAIN,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix="batch/" if access_logs else None,
            lifecycle_rules=[
                # Transform jobs upload in parts; a stopped job leaves them behind, charged and missing from listings.
                s3.LifecycleRule(
                    id="abort-unfinished-uploads", abort_incomplete_multipart_upload_after=cdk.Duration.days(7)
                ),
                _expiry("expire-outputs", OUTPUT_PREFIX, output_days),
                _expiry("expire-captures", CAPTURE_PREFIX, capture_days),
            ],
            removal_policy=removal,
        )
        if access_logs is None:
            nag.accept(
                self,
                "AwsSolutions-S1",
                "What `cdk destroy` is to remove gets no access logs: a bucket they fill cannot be deleted.",
            )

    @property
    def input_uri(self) -> str:
        """Where the files to rerank are put."""
        return f"s3://{self.bucket.bucket_name}/{INPUT_PREFIX}"

    @property
    def output_uri(self) -> str:
        """Where jobs write their `.out` files."""
        return f"s3://{self.bucket.bucket_name}/{OUTPUT_PREFIX}"


def _expiry(rule_id: str, prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=rule_id,
        prefix=prefix,
        expiration=cdk.Duration.days(days),
        noncurrent_version_expiration=cdk.Duration.days(7),
    )
