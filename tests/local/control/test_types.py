"""Resource types the control plane carries out itself: created, changed in place, deleted, read back by the API."""

import json
from typing import Any

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def one(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Resources": {"A": {"Type": kind, "Properties": properties}}}


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
    cloud.deployed(scaling(4, "morning", "evening"))
    cloud.deployed(scaling(6, "morning", target=5.0))

    (target,) = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    actions = client.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert (1, 6) == (target["MinCapacity"], target["MaxCapacity"])
    assert ("load", 5.0, 300) == (policy["PolicyName"], tracking["TargetValue"], tracking["ScaleInCooldown"])
    assert ["morning"] == [action["ScheduledActionName"] for action in actions]
    cloud.deleted()
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
    cloud.deployed(template)
    template["Resources"]["A"]["Properties"]["Threshold"] = 5
    cloud.deployed(template)

    (alarm,) = client.describe_alarms(AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    (both,) = client.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert ("errors", 5.0, "notBreaching") == (alarm["AlarmName"], alarm["Threshold"], alarm["TreatMissingData"])
    assert ["arn:aws:sns:us-east-1:123456789012:topic"] == alarm["AlarmActions"]
    assert 'ALARM("errors")' == both["AlarmRule"]
    cloud.deleted()
    assert [] == client.describe_alarms()["MetricAlarms"]


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

    cloud.deployed(key("one", rotate=True))
    key_id = cloud.resources()["A"]
    rotated = kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"]
    cloud.deployed(key("two", rotate=False))

    described = kms.describe_key(KeyId="alias/reranker")["KeyMetadata"]
    policy = json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
    assert rotated is True
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
    assert (key_id, "two") == (described["KeyId"], described["Description"])
    assert "two" == policy["Statement"][0]["Sid"]
    cloud.deleted()
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

    cloud.deployed(role("s3:GetObject", "first", "second"))
    cloud.deployed(role("s3:ListBucket", "second"))

    arn = cloud.resources()["Managed"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    managed = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    own = iam.get_role_policy(RoleName="reranker", PolicyName="own")["PolicyDocument"]
    attached = [item["PolicyName"] for item in iam.list_attached_role_policies(RoleName="reranker")["AttachedPolicies"]]
    assert {"own", "second"} == set(iam.list_role_policies(RoleName="reranker")["PolicyNames"])
    assert "s3:ListBucket" == own["Statement"][0]["Action"] == managed["Statement"][0]["Action"]
    assert "s3:ListBucket" == iam.get_role(RoleName="reranker")["Role"]["Description"]
    assert "invoke" in attached
    cloud.deleted()
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

    cloud.deployed(topic("one"))
    cloud.deployed(topic("two"))

    resources = cloud.resources()
    attributes = sns.get_topic_attributes(TopicArn=resources["A"])["Attributes"]
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=resources["A"])["Subscriptions"]
    queue = sqs.get_queue_attributes(QueueUrl=resources["Queue"], AttributeNames=["Policy"])["Attributes"]
    assert "two" == attributes["DisplayName"]
    assert "two" == json.loads(attributes["Policy"])["Statement"][0]["Sid"]
    assert "ops@example.com" == subscription["Endpoint"]
    assert "two" == json.loads(queue["Policy"])["Statement"][0]["Sid"]
    cloud.deleted()
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

    cloud.deployed(template(7, "one"))
    cloud.deployed(template(30, "two"))

    (group,) = logs.describe_log_groups()["logGroups"]
    (repository,) = cloud.client("ecr").describe_repositories()["repositories"]
    dashboard = cloud.client("cloudwatch").get_dashboard(DashboardName="overview")["DashboardBody"]
    assert 30 == group["retentionInDays"]
    assert "two" == ssm.get_parameter(Name="/rerank/a")["Parameter"]["Value"]
    assert "two" in dashboard
    assert repository["imageScanningConfiguration"]["scanOnPush"] is True
    cloud.deleted()
    assert [] == logs.describe_log_groups()["logGroups"]


def test_other_types_of_moto_are_carried_out_and_watched(cloud: Any) -> None:
    """A type without a handler of ours goes through moto's model."""
    cloud.deployed(one("AWS::Events::EventBus", Name="bus"))
    names = [bus["Name"] for bus in cloud.client("events").list_event_buses()["EventBuses"]]

    assert "bus" in names
    cloud.deleted()


def test_the_clis_question_after_a_failure_is_answered(cloud: Any) -> None:
    """CDK asks CloudTrail why a deployment failed; there is no trail, and no error either."""

    assert [] == cloud.client("cloudtrail").lookup_events()["Events"]
