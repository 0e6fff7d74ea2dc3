"""S3 buckets and bucket policies."""

import json
import re
from collections.abc import Callable
from typing import Any

from rerank_local.control.handlers.base import Call, Handler, Made, Resource
from rerank_local.control.handlers.s3_rules import lifecycle_rules, logging_status


class Bucket(Handler):
    """AWS::S3::Bucket; Ref is its name."""

    type = "AWS::S3::Bucket"
    name_property = "BucketName"

    def create(self, call: Call) -> Made:
        """CreateBucket."""
        region = call.place.region
        location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        lock = {"ObjectLockEnabledForBucket": True} if call.properties.get("ObjectLockEnabled") else {}
        name = call.name
        call.client("s3").create_bucket(Bucket=name, **location, **lock)
        attributes = {
            "Arn": f"arn:{call.place.partition}:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            "WebsiteURL": f"http://{name}.s3-website-{region}.amazonaws.com",
        }
        return Made(name, attributes)

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Each setting that is there is put; one that went away is deleted."""
        client, name = call.client("s3"), made.physical_id
        for setting, put in _PUT.items():
            if setting in call.properties:
                put(client, name, call.properties[setting])
            elif old is not None and setting in old.properties:
                _DELETE[setting](client, name)

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteBucket, which a bucket with objects refuses, as on AWS."""
        call.client("s3").delete_bucket(Bucket=old.physical_id)


class BucketPolicy(Handler):
    """AWS::S3::BucketPolicy; Ref is the bucket's name."""

    type = "AWS::S3::BucketPolicy"

    def create(self, call: Call) -> Made:
        """PutBucketPolicy."""
        bucket, policy = call.properties["Bucket"], json.dumps(call.properties["PolicyDocument"])
        call.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
        return Made(bucket)

    def update(self, call: Call, old: Resource) -> Made:
        """PutBucketPolicy again."""
        return self.create(call)

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteBucketPolicy."""
        call.client("s3").delete_bucket_policy(Bucket=old.physical_id)


class AutoDeleteObjects(Handler):
    """Custom::S3AutoDeleteObjects, CDK's `auto_delete_objects`: what its Lambda does is done here."""

    type = "Custom::S3AutoDeleteObjects"

    def create(self, call: Call) -> Made:
        """Nothing until the bucket goes."""
        call.properties.read.add("ServiceToken")
        return Made(call.properties["BucketName"])

    def delete(self, call: Call, old: Resource) -> None:
        """Empties the bucket, versions and all."""
        client, bucket = call.client("s3"), old.physical_id
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


HANDLERS: tuple[Handler, ...] = (Bucket(), BucketPolicy(), AutoDeleteObjects())


def _encryption(client: Any, bucket: str, value: Any) -> None:
    rules = [
        {("ApplyServerSideEncryptionByDefault" if key == "ServerSideEncryptionByDefault" else key): item}
        for rule in value["ServerSideEncryptionConfiguration"]
        for key, item in rule.items()
    ]
    merged: dict[str, Any] = {}
    for rule in rules:
        merged |= rule
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [merged]})


def _lifecycle(client: Any, bucket: str, value: Any) -> None:
    configuration = {"Rules": lifecycle_rules(value["Rules"])}
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration)


def _acl(client: Any, bucket: str, value: Any) -> None:
    words = re.findall("[A-Z][a-z]*", value)  # LogDeliveryWrite → log-delivery-write
    client.put_bucket_acl(Bucket=bucket, ACL="-".join(word.lower() for word in words))


_PUT: dict[str, Callable[[Any, str, Any], Any]] = {
    "AccessControl": _acl,
    "BucketEncryption": _encryption,
    "VersioningConfiguration": lambda client, bucket, value: client.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": value["Status"]}
    ),
    "PublicAccessBlockConfiguration": lambda client, bucket, value: client.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=value
    ),
    "OwnershipControls": lambda client, bucket, value: client.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls=value
    ),
    "LifecycleConfiguration": _lifecycle,
    "LoggingConfiguration": lambda client, bucket, value: client.put_bucket_logging(
        Bucket=bucket, BucketLoggingStatus=logging_status(bucket, value)
    ),
    "CorsConfiguration": lambda client, bucket, value: client.put_bucket_cors(
        Bucket=bucket, CORSConfiguration={"CORSRules": value["CorsRules"]}
    ),
    "Tags": lambda client, bucket, value: client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": value}),
}
_DELETE: dict[str, Callable[[Any, str], Any]] = {
    "AccessControl": lambda client, bucket: client.put_bucket_acl(Bucket=bucket, ACL="private"),
    "BucketEncryption": lambda client, bucket: client.delete_bucket_encryption(Bucket=bucket),
    "VersioningConfiguration": lambda client, bucket: client.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    ),
    "PublicAccessBlockConfiguration": lambda client, bucket: client.delete_public_access_block(Bucket=bucket),
    "OwnershipControls": lambda client, bucket: client.delete_bucket_ownership_controls(Bucket=bucket),
    "LifecycleConfiguration": lambda client, bucket: client.delete_bucket_lifecycle(Bucket=bucket),
    "LoggingConfiguration": lambda client, bucket: client.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={}),
    "CorsConfiguration": lambda client, bucket: client.delete_bucket_cors(Bucket=bucket),
    "Tags": lambda client, bucket: client.delete_bucket_tagging(Bucket=bucket),
}
