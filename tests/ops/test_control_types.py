"""Resource types the control plane carries out itself: created, changed in place, deleted, read back by the API."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_ops.local.control.errors import Unsupported
from rerank_ops.local.control.handlers import supported
from rerank_ops.local.control.handlers.s3_rules import lifecycle_rules
from rerank_ops.local.control.naming import physical_name
from rerank_ops.local.control.s3_api import enforceable
from rerank_ops.local.control.schema import schema

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
DENY_PLAIN = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def one(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Resources": {"A": {"Type": kind, "Properties": properties}}}


def deploy(cloud: Any, template: dict[str, Any]) -> None:
    """Deploys, and says why when it fails."""
    stack = cloud.deploy(template)
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack.get("StackStatusReason")


def delete(cloud: Any) -> None:
    stack_id = cloud.stack()["StackId"]
    cloud.client("cloudformation").delete_stack(StackName="stack")
    stack = cloud.stack(stack_id)
    assert "DELETE_COMPLETE" == stack["StackStatus"], stack.get("StackStatusReason")


def scaling(high: int, *schedules: str, target: float = 2.0) -> dict[str, Any]:
    action = {"Schedule": "cron(0 7 * * ? *)", "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": high}}
    return {
        "Resources": {
            "Policy": {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Properties": {
                    "PolicyName": "load",
                    "PolicyType": "TargetTrackingScaling",
                    "ScalingTargetId": {"Ref": "Target"},
                    "TargetTrackingScalingPolicyConfiguration": {
                        "TargetValue": target,
                        "ScaleInCooldown": "300",
                        "PredefinedMetricSpecification": {
                            "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
                        },
                    },
                },
            },
            "Target": {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Properties": {
                    "MinCapacity": 1,
                    "MaxCapacity": high,
                    "ResourceId": "endpoint/e/variant/main",
                    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                    "ServiceNamespace": "sagemaker",
                    "RoleARN": "arn:aws:iam::123456789012:role/scaling",
                    "ScheduledActions": [{"ScheduledActionName": name, **action} for name in schedules],
                },
            },
        }
    }


def test_scaling_is_registered_changed_and_taken_off(cloud: Any) -> None:
    """Targets, schedules and policies are the API's own: limits, target value, and nothing after deletion."""
    client = cloud.client("application-autoscaling")
    deploy(cloud, scaling(4, "morning", "evening"))
    deploy(cloud, scaling(6, "morning", target=5.0))

    (target,) = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    actions = client.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert (1, 6) == (target["MinCapacity"], target["MaxCapacity"])
    assert ("load", 5.0, 300) == (policy["PolicyName"], tracking["TargetValue"], tracking["ScaleInCooldown"])
    assert ["morning"] == [action["ScheduledActionName"] for action in actions]
    delete(cloud)
    assert [] == client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [] == client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert [] == client.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]


def test_alarms_follow_their_template(cloud: Any) -> None:
    """Metric and composite alarms are put with their actions, updated in place, deleted."""
    client = cloud.client("cloudwatch")
    template = one(
        "AWS::CloudWatch::Alarm",
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=["arn:aws:sns:us-east-1:123456789012:topic"],
    )
    template["Resources"]["Both"] = {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {"AlarmRule": {"Fn::Sub": 'ALARM("${A}")'}},
    }
    deploy(cloud, template)
    template["Resources"]["A"]["Properties"]["Threshold"] = 5
    deploy(cloud, template)

    (alarm,) = client.describe_alarms(AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    (both,) = client.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert ("errors", 5.0, "notBreaching") == (alarm["AlarmName"], alarm["Threshold"], alarm["TreatMissingData"])
    assert ["arn:aws:sns:us-east-1:123456789012:topic"] == alarm["AlarmActions"]
    assert 'ALARM("errors")' == both["AlarmRule"]
    delete(cloud)
    assert [] == client.describe_alarms()["MetricAlarms"]


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
    deploy(cloud, template)

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
    deploy(cloud, bare)
    assert "Suspended" == s3.get_bucket_versioning(Bucket="batch")["Status"]
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="batch")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket="batch")
    delete(cloud)


def test_a_tls_only_bucket_still_takes_objects(cloud: Any) -> None:
    """CDK's "deny unless TLS" is kept in the policy and does not lock the bucket."""
    policy = {"Version": "2012-10-17", "Statement": [DENY_PLAIN]}
    template = one("AWS::S3::Bucket", BucketName="tls")
    template["Resources"]["Policy"] = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "A"}, "PolicyDocument": policy},
    }
    deploy(cloud, template)
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
    deploy(cloud, template)
    s3 = cloud.client("s3")
    for body in (b"1", b"2"):
        s3.put_object(Bucket="full", Key="a", Body=body)
    s3.delete_object(Bucket="full", Key="a")
    delete(cloud)

    assert [] == s3.list_buckets()["Buckets"]


def test_a_key_has_its_policy_rotation_and_alias(cloud: Any) -> None:
    """The policy stays JSON (moto's own model breaks on it), and changes in place."""
    kms = cloud.client("kms")
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}

    def key(description: str, *, rotate: bool) -> dict[str, Any]:
        policy = {"Version": "2012-10-17", "Statement": [{**statement, "Sid": description}]}
        template = one("AWS::KMS::Key", KeyPolicy=policy, Description=description, EnableKeyRotation=rotate)
        alias = {"AliasName": "alias/reranker", "TargetKeyId": {"Fn::GetAtt": ["A", "Arn"]}}
        template["Resources"]["Alias"] = {"Type": "AWS::KMS::Alias", "Properties": alias}
        return template

    deploy(cloud, key("one", rotate=True))
    key_id = cloud.resources()["A"]
    rotated = kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"]
    deploy(cloud, key("two", rotate=False))

    described = kms.describe_key(KeyId="alias/reranker")["KeyMetadata"]
    policy = json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
    assert rotated is True
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
    assert (key_id, "two") == (described["KeyId"], described["Description"])
    assert "two" == policy["Statement"][0]["Sid"]
    delete(cloud)
    assert "PendingDeletion" == kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"]


def test_roles_and_policies_change_in_place(cloud: Any) -> None:
    """Trust, inline policies, attachments and managed policy documents follow the template."""
    iam = cloud.client("iam")

    def role(action: str, *inline: str) -> dict[str, Any]:
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
        }
        template = one(
            "AWS::IAM::Role",
            RoleName="reranker",
            AssumeRolePolicyDocument=TRUST,
            Description=action,
            Policies=[{"PolicyName": name, "PolicyDocument": document} for name in inline],
            ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"],
        )
        shared = {"PolicyDocument": document, "Roles": [{"Ref": "A"}]}
        template["Resources"]["Inline"] = {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "own", **shared}}
        template["Resources"]["Managed"] = {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"ManagedPolicyName": "invoke", **shared},
        }
        return template

    deploy(cloud, role("s3:GetObject", "first", "second"))
    deploy(cloud, role("s3:ListBucket", "second"))

    arn = cloud.resources()["Managed"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    managed = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    own = iam.get_role_policy(RoleName="reranker", PolicyName="own")["PolicyDocument"]
    attached = [item["PolicyName"] for item in iam.list_attached_role_policies(RoleName="reranker")["AttachedPolicies"]]
    assert {"own", "second"} == set(iam.list_role_policies(RoleName="reranker")["PolicyNames"])
    assert "s3:ListBucket" == own["Statement"][0]["Action"] == managed["Statement"][0]["Action"]
    assert "s3:ListBucket" == iam.get_role(RoleName="reranker")["Role"]["Description"]
    assert "invoke" in attached
    delete(cloud)
    assert [] == iam.list_roles()["Roles"]


def test_topics_keep_their_subscriptions_through_updates(cloud: Any) -> None:
    """A topic changes in place, with its policy, and so does a queue's."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")

    def topic(name: str) -> dict[str, Any]:
        template = one("AWS::SNS::Topic", TopicName="alarms", DisplayName=name)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Sid": name, "Principal": "*"}]}
        resources = template["Resources"]
        resources["Queue"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "alarms"}}
        resources["Sub"] = {
            "Type": "AWS::SNS::Subscription",
            "Properties": {"TopicArn": {"Ref": "A"}, "Protocol": "email", "Endpoint": "ops@example.com"},
        }
        resources["Policy"] = {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [{"Ref": "A"}], "PolicyDocument": policy},
        }
        resources["QueuePolicy"] = {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy},
        }
        return template

    deploy(cloud, topic("one"))
    deploy(cloud, topic("two"))

    resources = cloud.resources()
    attributes = sns.get_topic_attributes(TopicArn=resources["A"])["Attributes"]
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=resources["A"])["Subscriptions"]
    queue = sqs.get_queue_attributes(QueueUrl=resources["Queue"], AttributeNames=["Policy"])["Attributes"]
    assert "two" == attributes["DisplayName"]
    assert "two" == json.loads(attributes["Policy"])["Statement"][0]["Sid"]
    assert "ops@example.com" == subscription["Endpoint"]
    assert "two" == json.loads(queue["Policy"])["Statement"][0]["Sid"]
    delete(cloud)
    assert [] == sns.list_topics()["Topics"]


def test_log_groups_parameters_dashboards_and_repositories(cloud: Any) -> None:
    """Retention, values, bodies and lifecycle policies follow the template."""
    logs, ssm = cloud.client("logs"), cloud.client("ssm")

    def template(days: int, value: str) -> dict[str, Any]:
        body = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": value}}]})
        rule = {
            "rulePriority": 1,
            "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
            "action": {"type": "expire"},
        }
        policy = json.dumps({"rules": [rule]})
        return {
            "Resources": {
                "Log": {
                    "Type": "AWS::Logs::LogGroup",
                    "Properties": {"LogGroupName": "/aws/sagemaker/Endpoints/e", "RetentionInDays": days},
                },
                "Parameter": {
                    "Type": "AWS::SSM::Parameter",
                    "Properties": {"Name": "/rerank/a", "Type": "String", "Value": value, "Tags": {"k": "v"}},
                },
                "Dashboard": {
                    "Type": "AWS::CloudWatch::Dashboard",
                    "Properties": {"DashboardName": "overview", "DashboardBody": body},
                },
                "Repository": {
                    "Type": "AWS::ECR::Repository",
                    "Properties": {
                        "RepositoryName": "reranker",
                        "ImageScanningConfiguration": {"ScanOnPush": True},
                        "LifecyclePolicy": {"LifecyclePolicyText": policy},
                    },
                },
            }
        }

    deploy(cloud, template(7, "one"))
    deploy(cloud, template(30, "two"))

    (group,) = logs.describe_log_groups()["logGroups"]
    (repository,) = cloud.client("ecr").describe_repositories()["repositories"]
    dashboard = cloud.client("cloudwatch").get_dashboard(DashboardName="overview")["DashboardBody"]
    assert 30 == group["retentionInDays"]
    assert "two" == ssm.get_parameter(Name="/rerank/a")["Parameter"]["Value"]
    assert "two" in dashboard
    assert repository["imageScanningConfiguration"]["scanOnPush"] is True
    delete(cloud)
    assert [] == logs.describe_log_groups()["logGroups"]


def test_other_types_of_moto_are_carried_out_and_watched(cloud: Any) -> None:
    """A type without a handler of ours goes through moto's model."""
    deploy(cloud, one("AWS::Events::EventBus", Name="bus"))
    names = [bus["Name"] for bus in cloud.client("events").list_event_buses()["EventBuses"]]

    assert "bus" in names
    delete(cloud)


def test_the_clis_question_after_a_failure_is_answered(cloud: Any) -> None:
    """CDK asks CloudTrail why a deployment failed; there is no trail, and no error either."""

    assert [] == cloud.client("cloudtrail").lookup_events()["Events"]


def test_every_supported_type_is_one_of_cloudformation(cloud: Any) -> None:
    """Handlers are registered under names that AWS knows (CDK's own custom resource apart)."""
    unknown = [name for name in supported() if schema(name) is None and not name.startswith("Custom::")]

    assert [] == unknown


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::SageMaker::Model", "AWS::IAM::Role", "AWS::SNS::Topic"])
def test_made_up_names_fit_their_service(kind: str) -> None:
    """However long stack and logical ids are, the name is within the limit, and differs each time."""
    names = {physical_name(kind, "S" * 128, "L" * 200) for _ in range(3)}

    assert 3 == len(names)
    assert all(len(name) <= (63 if "S3" in kind or "SageMaker" in kind else 256) for name in names)
    assert all(name == name.lower() for name in names) == (kind == "AWS::S3::Bucket")


def test_scalars_take_the_schemas_types() -> None:
    """Text from parameters becomes numbers and booleans where the schema wants them."""
    known = schema("AWS::SageMaker::EndpointConfig")
    assert known is not None
    variant = {"VariantName": "main", "InitialInstanceCount": "2", "InitialVariantWeight": "0.5", "ModelName": "a"}
    found = known.checked("C", {"ProductionVariants": [variant], "EnableNetworkIsolation": "true"})

    assert (2, 0.5) == (
        found["ProductionVariants"][0]["InitialInstanceCount"],
        found["ProductionVariants"][0]["InitialVariantWeight"],
    )
    assert found["EnableNetworkIsolation"] is True
    assert known.replaces("KmsKeyId")
    assert not known.replaces("Tags")
