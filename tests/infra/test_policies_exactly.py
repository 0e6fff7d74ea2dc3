"""Every statement of every policy, with its exact actions: one more is as wrong as one less."""

import re
from typing import Any

import pytest

Statement = tuple[str, str, frozenset[str], str]  # Sid or "-", effect, actions, principal or "-"


def allow(sid: str, actions: str, principal: str = "-") -> Statement:
    return sid, "Allow", frozenset(actions.split()), principal


def deny(sid: str, actions: str) -> Statement:
    return sid, "Deny", frozenset(actions.split()), "*"


TRUST = {allow("-", "sts:AssumeRole", "sagemaker.amazonaws.com")}
PULL = allow("PullImage", "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:GetDownloadUrlForLayer")
CONTAINER = {
    allow("LogInToEcr", "ecr:GetAuthorizationToken"),
    allow("WriteLogs", "logs:CreateLogGroup logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents"),
    allow("PutMetrics", "cloudwatch:PutMetricData"),
}
KEY = {
    allow("UseKey", "kms:Decrypt kms:DescribeKey kms:GenerateDataKey"),
    allow("GrantKeyToVolumes", "kms:CreateGrant"),
}
ARTEFACTS = {allow("ReadBundle", "s3:GetObject"), PULL}

FOUNDATION: dict[str, set[Statement]] = {
    "EncryptionKey KeyPolicy": {
        allow("-", "kms:*", "arn:aws:iam::123456789012:root"),
        allow(
            "EncryptLogGroups",
            "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey* kms:ReEncrypt*",
            "logs.us-east-1.AWS::URLSuffix",
        ),
        allow("EncryptAlarmMessages", "kms:Decrypt kms:GenerateDataKey*", "cloudwatch.amazonaws.com"),
    },
    "AlarmsTopicPolicy PolicyDocument": {
        deny("AllowPublishThroughSSLOnly", "sns:Publish"),
        allow("AlarmsOfThisAccount", "sns:Publish", "cloudwatch.amazonaws.com"),
    },
    "BatchBucketPolicy PolicyDocument": {deny("-", "s3:*")},
}
ENDPOINT: dict[str, set[Statement]] = {
    "ExecutionRole AssumeRolePolicyDocument": TRUST,
    "ExecutionPolicy PolicyDocument": CONTAINER | KEY,
    "ExecutionArtefacts PolicyDocument": ARTEFACTS,
    "EndpointWatchAlarms PolicyDocument": {allow("WatchAlarms", "cloudwatch:DescribeAlarms")},
    "BatchTransformExecutionRole AssumeRolePolicyDocument": TRUST,
    "BatchTransformExecutionPolicy PolicyDocument": CONTAINER
    | KEY
    | {
        allow("ListInputs", "s3:ListBucket"),
        allow("ReadInputs", "s3:GetObject"),
        allow("WriteOutputs", "s3:AbortMultipartUpload s3:PutObject"),
    },
    "BatchTransformExecutionArtefacts PolicyDocument": ARTEFACTS,
    "InvokePolicy PolicyDocument": {allow("Invoke", "sagemaker:InvokeEndpoint")},
}
TRAINING: dict[str, set[Statement]] = {
    "TrainingRole AssumeRolePolicyDocument": TRUST,
    "TrainingPolicy PolicyDocument": CONTAINER
    | KEY
    | {
        PULL,
        allow("ListTraining", "s3:ListBucket"),
        allow("ReadAndWriteTraining", "s3:AbortMultipartUpload s3:GetObject s3:PutObject"),
    },
}
ACCESS_LOGS: dict[str, set[Statement]] = {
    "AccessLogsBucketPolicy PolicyDocument": {
        deny("-", "s3:*"),
        allow("-", "s3:PutObject", "logging.s3.amazonaws.com"),
    },
}
EXPECTED = {
    "sandbox": FOUNDATION | TRAINING | ENDPOINT,
    "production": FOUNDATION | ACCESS_LOGS | ENDPOINT,
}
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, set[Statement]]]] = {
    "vpc": (
        {
            "network": {
                "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
                "security_groups": ["sg-0123456789abcdef0"],
            }
        },
        {
            f"{role} PolicyDocument": {
                allow(
                    "AttachToVpc",
                    "ec2:CreateNetworkInterface ec2:CreateNetworkInterfacePermission ec2:DeleteNetworkInterface "
                    "ec2:DeleteNetworkInterfacePermission ec2:DescribeDhcpOptions ec2:DescribeNetworkInterfaces "
                    "ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
                )
            }
            for role in ("ExecutionPolicy", "BatchTransformExecutionPolicy")
        },
    ),
    "a key of the bootstrap bucket": (
        {"bundle": {"kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/12345678-90ab-cdef-1234-567890abcdef"}},
        {
            f"{role} PolicyDocument": {allow("DecryptBundle", "kms:Decrypt")}
            for role in ("ExecutionArtefacts", "BatchTransformExecutionArtefacts")
        },
    ),
    "data capture": (
        {"data_capture": {"enabled": True}},
        {"ExecutionPolicy PolicyDocument": {allow("WriteCaptures", "s3:PutObject")}},
    ),
}


def policies(stacks: Any) -> dict[str, set[Statement]]:
    """All policy documents of both stacks, wherever a resource holds one."""
    found: dict[str, set[Statement]] = {}
    for template in (stacks.foundation, stacks.endpoint):
        for logical, resource in template.body["Resources"].items():
            for name, document in documents(resource["Properties"]):
                # The hash at the end, and the bundle's fingerprint in it, are no part of the name.
                named = re.sub(r"((?<=Artefacts)[0-9a-f]{12})?[0-9A-F]{8}$", "", logical)
                found[f"{named} {name}"] = {statement(s) for s in document["Statement"]}
    return found


def documents(value: Any, name: str = "") -> list[tuple[str, dict[str, Any]]]:
    if isinstance(value, list):
        return [found for item in value for found in documents(item, name)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("Statement"), list):
        return [(name, value)]
    return [found for key, item in value.items() for found in documents(item, key)]


def statement(found: dict[str, Any]) -> Statement:
    assert {"Effect", "Action"} <= found.keys()
    assert {"NotAction", "NotResource", "NotPrincipal"}.isdisjoint(found)
    actions = found["Action"] if isinstance(found["Action"], list) else [found["Action"]]
    return found.get("Sid", "-"), found["Effect"], frozenset(actions), principal(found.get("Principal", "-"))


def principal(value: Any) -> str:
    match value:
        case str():
            return value
        case {"Fn::Join": ["", parts]}:
            return "".join(map(principal, parts))
        case dict():
            (only,) = value.values()
            return principal(only)
    raise AssertionError(f"{value} names several principals")


def test_every_statement_has_exactly_its_actions(stacks: Any) -> None:
    """Roles, managed policies, the key's, the topic's and the buckets' policies are those of the table."""
    assert EXPECTED[stacks.deployment.name] == policies(stacks)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_adds_exactly_its_statements(synthesize: Any, option: str) -> None:
    """A subnet, a key or data capture adds what they need to the roles that need it, and to no other."""
    changes, added = OPTIONS[option]
    expected = EXPECTED["sandbox"] | {name: EXPECTED["sandbox"][name] | more for name, more in added.items()}

    assert expected == policies(synthesize("sandbox", **changes))


def test_roles_have_no_policies_beside_these(stacks: Any) -> None:
    """Nothing is attached to a role but the policies above."""
    for template in (stacks.foundation, stacks.endpoint):
        for role in template.properties("AWS::IAM::Role"):
            assert {"AssumeRolePolicyDocument", "Description", "Tags"} == role.keys()


def test_what_holds_a_wide_statement_is_exact(stacks: Any) -> None:
    """Statements for services and for the whole account carry the conditions that keep others out."""
    (key,) = stacks.foundation.properties("AWS::KMS::Key")
    conditions = {s.get("Sid"): s.get("Condition") for s in key["KeyPolicy"]["Statement"]}
    account = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (topic,) = stacks.foundation.properties("AWS::SNS::TopicPolicy")
    (alarms,) = [s for s in topic["PolicyDocument"]["Statement"] if s["Sid"] == "AlarmsOfThisAccount"]
    logs = "arn:aws:logs:us-east-1:123456789012:log-group:*"

    assert {
        None: None,
        "EncryptLogGroups": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
        "EncryptAlarmMessages": account,
    } == conditions
    assert account == alarms["Condition"]
    for bucket in stacks.foundation.properties("AWS::S3::BucketPolicy"):
        denied = [s["Condition"] for s in bucket["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert [{"Bool": {"aws:SecureTransport": "false"}}] == denied
