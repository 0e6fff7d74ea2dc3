"""The template of what outlives a model."""

from collections.abc import Callable
from typing import Any

import pytest

BUCKET, KEY, LOGS = "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Logs::LogGroup"
TOPIC = "AWS::SNS::Topic"


def batch_bucket(template: Any) -> dict[str, Any]:
    """The one under the key; a bucket for access logs cannot have one."""
    (found,) = [p for p in template.properties(BUCKET) if "KMSMasterKeyID" in str(p["BucketEncryption"])]
    return dict(found)


def test_the_key_rotates(stacks: Any) -> None:
    """One customer-managed key, rotated."""
    assert stacks.foundation.only(KEY)["EnableKeyRotation"] is True


def test_logs_have_a_key_and_an_end(stacks: Any) -> None:
    """SageMaker's log group is there before the endpoint, encrypted and with a retention."""
    group = stacks.foundation.only(LOGS)

    assert f"/aws/sagemaker/Endpoints/{stacks.deployment.endpoint_name}" == group["LogGroupName"]
    assert stacks.deployment.retention.log_days == group["RetentionInDays"]
    assert "Arn" == group["KmsKeyId"]["Fn::GetAtt"][1]


def test_the_key_serves_logs_and_alarms(stacks: Any) -> None:
    """CloudWatch Logs and alarms of this account may use the key, and no one else is named."""
    statements = {s.get("Sid"): s for s in stacks.foundation.only(KEY)["KeyPolicy"]["Statement"]}

    assert {None, "EncryptLogGroups", "EncryptAlarmMessages"} == set(statements)
    assert {"aws:SourceAccount": "123456789012"} == statements["EncryptAlarmMessages"]["Condition"]["StringEquals"]


def test_buckets_are_private_and_take_tls_only(stacks: Any) -> None:
    """Every bucket blocks public access and refuses plain HTTP."""
    buckets, policies = stacks.foundation.resources(BUCKET), stacks.foundation.properties("AWS::S3::BucketPolicy")
    refused = {
        policy["Bucket"]["Ref"]
        for policy in policies
        for s in policy["PolicyDocument"]["Statement"]
        if s["Effect"] == "Deny" and s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }

    assert set(buckets) == refused
    assert all(set(b["Properties"]["PublicAccessBlockConfiguration"].values()) == {True} for b in buckets.values())


def test_batch_objects_are_encrypted_and_do_not_pile_up(stacks: Any) -> None:
    """The batch bucket uses the key and drops unfinished uploads and old outputs, never inputs."""
    batch = batch_bucket(stacks.foundation)
    (encryption,) = batch["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = {rule["Id"]: rule for rule in batch["LifecycleConfiguration"]["Rules"]}

    assert "aws:kms" == encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert 7 == rules["abort-unfinished-uploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
    assert ("output/", 90) == (rules["expire-outputs"]["Prefix"], rules["expire-outputs"]["ExpirationInDays"])
    assert {"output/", "capture/"} == {rule["Prefix"] for rule in rules.values() if "ExpirationInDays" in rule}


@pytest.mark.parametrize(
    ("name", "policy", "versioned"), [("sandbox", "Delete", False), ("production", "Retain", True)]
)
def test_what_survives_a_destroy(request: pytest.FixtureRequest, name: str, policy: str, versioned: bool) -> None:
    """The sandbox leaves nothing behind; production keeps key, objects and logs."""
    template = request.getfixturevalue(name).foundation
    kept = [r for kind in (BUCKET, KEY, LOGS) for r in template.resources(kind).values()]
    batch = batch_bucket(template)

    assert {policy} == {r["DeletionPolicy"] for r in kept}
    assert versioned == ("VersioningConfiguration" in batch)
    assert versioned == ("LoggingConfiguration" in batch)  # a bucket of access logs could not be deleted


def test_alarms_may_publish_to_the_topic(stacks: Any) -> None:
    """The topic is encrypted, and its policy lets this account's alarms in over TLS only."""
    topic = stacks.foundation.only(TOPIC)
    statements = stacks.foundation.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = [s for s in statements if s["Effect"] == "Allow"]

    assert "KmsMasterKeyId" in topic
    assert [{"Service": "cloudwatch.amazonaws.com"}] == [s["Principal"] for s in allowed]
    assert [{"Bool": {"aws:SecureTransport": "false"}}] == [s["Condition"] for s in statements if s["Effect"] == "Deny"]


def test_alarms_by_mail(synthesize: Callable[..., Any]) -> None:
    """An address in the deployment is subscribed."""
    stacks = synthesize("sandbox", alarms={"email": "oncall@example.com"})
    subscription = stacks.foundation.only("AWS::SNS::Subscription")

    assert ("email", "oncall@example.com") == (subscription["Protocol"], subscription["Endpoint"])


def test_alarms_to_a_topic_that_is_there(synthesize: Callable[..., Any]) -> None:
    """A topic of one's own is used, and none is made."""
    arn = "arn:aws:sns:us-east-1:123456789012:oncall"
    stacks = synthesize("sandbox", alarms={"topic_arn": arn})

    assert {} == stacks.foundation.resources(TOPIC)
    assert {arn} == {a for p in stacks.endpoint.properties("AWS::CloudWatch::Alarm") for a in p["AlarmActions"]}


def test_everything_is_tagged(stacks: Any) -> None:
    """Costs and resources can be told apart by deployment."""
    for template in (stacks.foundation, stacks.endpoint):
        for resource in template.body["Resources"].values():
            tags = resource["Properties"].get("Tags", {})
            pairs = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
            if pairs:
                assert stacks.deployment.name == pairs["rerank:deployment"]
