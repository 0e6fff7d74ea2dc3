"""The endpoint's log group, made before SageMaker makes its own without retention or key."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

_RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}


def log_group_name(endpoint_name: str) -> str:
    """The name SageMaker writes to; it cannot be chosen."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


class EndpointLogs(Construct):
    """Log group with retention and key. In the foundation: logs outlive an endpoint that is taken down for a while."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        endpoint_name: str,
        key: kms.IKey,
        days: int,
        removal: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self,
            "LogGroup",
            log_group_name=log_group_name(endpoint_name),
            encryption_key=key,
            retention=_RETENTION[days],
            removal_policy=removal,
        )
