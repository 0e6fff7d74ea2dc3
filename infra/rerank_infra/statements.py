"""IAM statements, written out: CDK's `grant_read` and the managed SageMaker policies give far more than is needed.

Source: Amazon SageMaker's documented minimum for CreateModel, hosting and transform roles.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
_NETWORK_INTERFACES = [
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
]


def read_object(arn: str) -> iam.PolicyStatement:
    """One object, not its bucket."""
    return iam.PolicyStatement(sid="ReadBundle", actions=["s3:GetObject"], resources=[arn])


def pull_image(repository_arn: str) -> iam.PolicyStatement:
    """Layers of one repository."""
    return iam.PolicyStatement(sid="PullImage", actions=_PULL, resources=[repository_arn])


def log_in_to_ecr() -> iam.PolicyStatement:
    """The token is not tied to a repository: IAM takes * only."""
    return iam.PolicyStatement(sid="LogInToEcr", actions=["ecr:GetAuthorizationToken"], resources=["*"])


def write_logs(log_group_arn: str) -> iam.PolicyStatement:
    """Streams of one log group."""
    return iam.PolicyStatement(
        sid="WriteLogs",
        actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources=[log_group_arn, f"{log_group_arn}:log-stream:*"],
    )


def put_metrics(*namespaces: str) -> iam.PolicyStatement:
    """Metrics have no ARN: the namespace is what can be held fast."""
    return iam.PolicyStatement(
        sid="PutMetrics",
        actions=["cloudwatch:PutMetricData"],
        resources=["*"],
        conditions={"StringEquals": {"cloudwatch:namespace": list(namespaces)}},
    )


def use_key_for_volumes(key_arn: str) -> list[iam.PolicyStatement]:
    """What encrypting the instances' volumes asks of the role: see KmsKeyId of CreateEndpointConfig."""
    return [
        iam.PolicyStatement(
            sid="UseKey", actions=["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], resources=[key_arn]
        ),
        iam.PolicyStatement(
            sid="GrantKeyToVolumes",
            actions=["kms:CreateGrant"],
            resources=[key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]


def decrypt(key_arn: str) -> iam.PolicyStatement:
    """Objects under a key of the account's own, through S3 only."""
    return iam.PolicyStatement(
        sid="DecryptBundle",
        actions=["kms:Decrypt"],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:ViaService": f"s3.{cdk.Aws.REGION}.{cdk.Aws.URL_SUFFIX}"}},
    )


def attach_to_vpc() -> iam.PolicyStatement:
    """Network interfaces of instances that do not exist yet: IAM takes * only."""
    return iam.PolicyStatement(sid="AttachToVpc", actions=_NETWORK_INTERFACES, resources=["*"])


def watch_alarms(*arns: str) -> iam.PolicyStatement:
    """What automatic rollback asks of the execution role."""
    return iam.PolicyStatement(sid="WatchAlarms", actions=["cloudwatch:DescribeAlarms"], resources=list(arns))
