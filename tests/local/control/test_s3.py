"""Buckets and their policies in the local control plane."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_local.control.errors import Unsupported
from rerank_local.control.handlers.s3_rules import lifecycle_rules
from rerank_local.control.s3_api import enforceable

DENY_PLAIN = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def one(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Resources": {"A": {"Type": kind, "Properties": properties}}}


def test_a_bucket_has_every_setting(cloud: Any) -> None:
    """Encryption, versioning, public access, ownership, lifecycle, logs and tags are put; what goes is taken off."""
    s3 = cloud.client("s3")
    full = {
        "BucketName": "batch",
        "AccessControl": "Private",
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
            ]
        },
        "VersioningConfiguration": {"Status": "Enabled"},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": "true"},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "ExpirationInDays": 90}]},
        "LoggingConfiguration": {"DestinationBucketName": {"Ref": "Logs"}, "LogFilePrefix": "batch/"},
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    logs = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "logs"}}
    template = one("AWS::S3::Bucket", **full)
    template["Resources"]["Logs"] = logs
    cloud.deployed(template)

    encryption = s3.get_bucket_encryption(Bucket="batch")["ServerSideEncryptionConfiguration"]["Rules"][0]
    access = s3.get_public_access_block(Bucket="batch")["PublicAccessBlockConfiguration"]
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket="batch")["Rules"]
    assert "aws:kms" == encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert encryption["BucketKeyEnabled"] is True
    assert (True, True, False) == (access["BlockPublicAcls"], access["BlockPublicPolicy"], access["IgnorePublicAcls"])
    assert ("old", 90) == (rule["ID"], rule["Expiration"]["Days"])
    assert "Enabled" == s3.get_bucket_versioning(Bucket="batch")["Status"]
    assert "logs" == s3.get_bucket_logging(Bucket="batch")["LoggingEnabled"]["TargetBucket"]
    assert [{"Key": "a", "Value": "b"}] == s3.get_bucket_tagging(Bucket="batch")["TagSet"]

    bare = one("AWS::S3::Bucket", BucketName="batch")
    bare["Resources"]["Logs"] = logs
    cloud.deployed(bare)
    assert "Suspended" == s3.get_bucket_versioning(Bucket="batch")["Status"]
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="batch")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="batch")
    cloud.deleted()


def test_a_tls_only_bucket_still_takes_objects(cloud: Any) -> None:
    """CDK's "deny unless TLS" is kept in the policy and does not lock the bucket."""
    policy = {"Version": "2012-10-17", "Statement": [DENY_PLAIN]}
    template = one("AWS::S3::Bucket", BucketName="tls")
    template["Resources"]["Policy"] = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "A"}, "PolicyDocument": policy},
    }
    cloud.deployed(template)
    s3 = cloud.client("s3")
    s3.put_object(Bucket="tls", Key="a", Body=b"x")

    assert b"x" == s3.get_object(Bucket="tls", Key="a")["Body"].read()
    assert policy == json.loads(s3.get_bucket_policy(Bucket="tls")["Policy"])


def test_only_what_can_be_judged_is_enforced() -> None:
    """TLS conditions hold here, other conditions and denials of somebody in particular are left out."""
    everybody = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "*"}
    over_tls = {**everybody, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    by_source = {**everybody, "Condition": {"StringEquals": {"aws:SourceAccount": "1"}}}
    somebody = {**everybody, "Principal": {"Service": "logging.s3.amazonaws.com"}}
    policy = json.dumps({"Statement": [DENY_PLAIN, everybody, over_tls, by_source, somebody]})

    assert [everybody, everybody] == json.loads(enforceable(policy))["Statement"]


def test_a_lifecycle_rule_in_the_apis_form() -> None:
    """CloudFormation's flat names become the API's nested ones; what is unknown is refused."""
    rule = {
        "Id": "a",
        "Status": "Enabled",
        "Prefix": "output/",
        "TagFilters": [{"Key": "k", "Value": "v"}],
        "NoncurrentVersionExpirationInDays": 7,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 30}],
        "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER", "TransitionInDays": 9}],
    }

    assert [
        {
            "ID": "a",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "output/", "Tags": [{"Key": "k", "Value": "v"}]}},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
            "Transitions": [{"StorageClass": "GLACIER", "Days": 30}],
            "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER", "NoncurrentDays": 9}],
        }
    ] == lifecycle_rules([rule])
    with pytest.raises(Unsupported, match="ObjectSizeLessThan"):
        lifecycle_rules([{**rule, "ObjectSizeLessThan": "1"}])


def test_auto_delete_empties_the_bucket(cloud: Any) -> None:
    """CDK's custom resource is done natively: versions too go before the bucket."""
    template = one("AWS::S3::Bucket", BucketName="full", VersioningConfiguration={"Status": "Enabled"})
    template["Resources"]["Empty"] = {
        "Type": "Custom::S3AutoDeleteObjects",
        "Properties": {"ServiceToken": "arn:lambda", "BucketName": {"Ref": "A"}},
    }
    cloud.deployed(template)
    s3 = cloud.client("s3")
    for body in (b"1", b"2"):
        s3.put_object(Bucket="full", Key="a", Body=body)
    s3.delete_object(Bucket="full", Key="a")
    cloud.deleted()

    assert [] == s3.list_buckets()["Buckets"]
