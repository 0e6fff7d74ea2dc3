"""Requests and responses kept in S3, when a deployment asks for it: they hold users' text."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker

from rerank_infra.batch_bucket import CAPTURE_PREFIX
from rerank_infra.deployment import DataCapture

Config = sagemaker.CfnEndpointConfig
Captured = Config.DataCaptureConfigProperty | None


def capture_config(capture: DataCapture, *, bucket: s3.IBucket, key_arn: str) -> Captured:
    """What the endpoint's configuration says about it; None when nothing is captured."""
    if not capture.enabled:
        return None
    return Config.DataCaptureConfigProperty(
        enable_capture=True,
        initial_sampling_percentage=capture.sampling_percent,
        destination_s3_uri=f"s3://{bucket.bucket_name}/{CAPTURE_PREFIX}",
        kms_key_id=key_arn,
        capture_options=[Config.CaptureOptionProperty(capture_mode=mode) for mode in ("Input", "Output")],
        # Content types not named here are stored as base64.
        capture_content_type_header=Config.CaptureContentTypeHeaderProperty(
            json_content_types=["application/json", "application/jsonlines"]
        ),
    )


def write_captures(bucket_arn: str) -> iam.PolicyStatement:
    """What the endpoint's role needs for it."""
    return iam.PolicyStatement(
        sid="WriteCaptures", actions=["s3:PutObject"], resources=[f"{bucket_arn}/{CAPTURE_PREFIX}*"]
    )
