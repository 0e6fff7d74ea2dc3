"""The synthesized stacks created in moto, read back, updated and deleted."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

REGION = "us-east-1"


class Account:
    """An empty account in moto, with the kit's control plane, bootstrapped for CDK."""

    def __init__(self) -> None:
        self.cloudformation = self.client("cloudformation")
        self.sagemaker = self.client("sagemaker")
        self.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)

    def deploy(self, stacks: Any) -> None:
        """Creates or updates both stacks, foundation first."""
        existing = {s["StackName"] for s in self.cloudformation.describe_stacks()["Stacks"]}
        for suffix, template in (("Foundation", stacks.foundation), ("Endpoint", stacks.endpoint)):
            name = f"Rerank-{stacks.deployment.name}-{suffix}"
            verb = self.cloudformation.update_stack if name in existing else self.cloudformation.create_stack
            try:
                verb(StackName=name, TemplateBody=json.dumps(template.body), Capabilities=["CAPABILITY_IAM"])
            except self.cloudformation.exceptions.ClientError as error:
                if "No updates are to be performed" not in str(error):
                    raise
            (stack,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
            assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack.get("StackStatusReason")

    def outputs(self, name: str) -> dict[str, str]:
        (stack,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def parameters(self, deployment: str) -> dict[str, str]:
        found = self.client("ssm").get_parameters_by_path(Path=f"/rerank/{deployment}", MaxResults=10)
        more = self.client("ssm").get_parameters_by_path(
            Path=f"/rerank/{deployment}", MaxResults=10, NextToken=found.get("NextToken", "0")
        )
        both = {p["Name"]: p["Value"] for answer in (found, more) for p in answer["Parameters"]}
        return {name.rpartition("/")[2]: value for name, value in both.items()}

    def endpoint(self, name: str) -> dict[str, Any]:
        """The endpoint, its configuration and its model, each looked up by the name the one before gives."""
        endpoint = self.sagemaker.describe_endpoint(EndpointName=name)
        config = self.sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        (variant,) = config["ProductionVariants"]
        model = self.sagemaker.describe_model(ModelName=variant["ModelName"])
        return {"endpoint": endpoint, "config": config, "variant": variant, "model": model}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    from rerank_local import control

    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        control.install()
        yield Account()


def test_the_endpoint_serves_the_bundle(account: Account, stacks: Any) -> None:
    """Endpoint, configuration and model are wired to each other, the role and the key."""
    account.deploy(stacks)
    found = account.endpoint(stacks.deployment.endpoint_name)
    key = account.parameters(stacks.deployment.name)["kms-key-arn"]
    sha256 = account.parameters(stacks.deployment.name)["bundle-sha256"]

    assert "InService" == found["endpoint"]["EndpointStatus"]
    assert stacks.deployment.endpoint.instance_type == found["variant"]["InstanceType"]
    assert key == found["config"]["KmsKeyId"]
    assert found["model"]["PrimaryContainer"]["ModelDataUrl"].endswith(f"/{sha256}.tar.gz")
    assert found["model"]["EnableNetworkIsolation"] is True


def test_the_roles_exist_with_their_policies(account: Account, sandbox: Any) -> None:
    """The model's role trusts SageMaker and may read the bundle."""
    account.deploy(sandbox)
    role = account.endpoint("rerank-sandbox")["model"]["ExecutionRoleArn"].rpartition("/")[2]
    iam = account.client("iam")
    policies = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    sids = {statement["Sid"] for policy in policies for statement in policy["Statement"]}

    assert {"ReadBundle", "PullImage", "WriteLogs", "UseKey", "WatchAlarms"} <= sids


def test_the_fleet_scales(account: Account, stacks: Any) -> None:
    """The scalable target has the deployment's range, and a policy that tracks concurrent requests."""
    account.deploy(stacks)
    scaling, wanted = account.client("application-autoscaling"), stacks.deployment.scaling
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]

    assert f"endpoint/{stacks.deployment.endpoint_name}/variant/main" == target["ResourceId"] == policy["ResourceId"]
    assert (wanted.min_instances, wanted.max_instances) == (target["MinCapacity"], target["MaxCapacity"])
    assert (wanted.target, wanted.scale_in_cooldown_seconds, wanted.scale_out_cooldown_seconds) == (
        tracking["TargetValue"],
        tracking["ScaleInCooldown"],
        tracking["ScaleOutCooldown"],
    )


def test_schedules_are_registered(account: Account, synthesize: Callable[..., Any]) -> None:
    """A schedule becomes a scheduled action on the same target."""
    night = {"name": "night", "at": "cron(0 20 * * ? *)", "min_instances": 2, "max_instances": 3}
    account.deploy(synthesize("production", scaling={"schedules": [night]}))
    actions = account.client("application-autoscaling").describe_scheduled_actions(ServiceNamespace="sagemaker")
    (action,) = actions["ScheduledActions"]

    assert ("night", {"MinCapacity": 2, "MaxCapacity": 3}) == (
        action["ScheduledActionName"],
        action["ScalableTargetAction"],
    )


def alarms(account: Account) -> list[dict[str, Any]]:
    return list(account.client("cloudwatch").describe_alarms()["MetricAlarms"])


def new_fleet_configs(account: Account) -> set[str]:
    """Endpoint configurations the rollback alarms watch."""
    metrics = [m["MetricStat"]["Metric"] for a in alarms(account) for m in a.get("Metrics", []) if "MetricStat" in m]
    metrics += [a for a in alarms(account) if "Dimensions" in a]
    return {d["Value"] for metric in metrics for d in metric["Dimensions"] if d["Name"] == "EndpointConfigName"}


def test_alarms_tell_the_topic(account: Account, production: Any) -> None:
    """Eight alarms publish to the topic; those for updates watch the configuration in service."""
    account.deploy(production)
    topic = account.outputs("Rerank-production-Foundation")["AlarmTopicArn"]

    assert 8 == len(alarms(account))
    assert {topic} == {action for alarm in alarms(account) for action in alarm["AlarmActions"]}
    assert {account.endpoint("rerank-production")["config"]["EndpointConfigName"]} == new_fleet_configs(account)


def test_parameters_and_outputs_name_what_exists(account: Account, sandbox: Any) -> None:
    """Whoever reads the parameters finds the endpoint, the batch model and the bucket."""
    account.deploy(sandbox)
    parameters, outputs = account.parameters("sandbox"), account.outputs("Rerank-sandbox-Endpoint")
    bucket = account.outputs("Rerank-sandbox-Foundation")["BatchBucketName"]
    batch = account.sagemaker.describe_model(ModelName=parameters["batch-model-name"])

    assert "rerank-sandbox" == parameters["endpoint-name"] == outputs["EndpointName"]
    assert account.endpoint("rerank-sandbox")["endpoint"]["EndpointArn"] == parameters["endpoint-arn"]
    assert (f"s3://{bucket}/input/", f"s3://{bucket}/output/") == (
        parameters["batch-input-uri"],
        parameters["batch-output-uri"],
    )
    assert "600" == batch["PrimaryContainer"]["Environment"]["SAGEMAKER_MODEL_SERVER_TIMEOUT"]


def test_the_training_role_is_published(account: Account, sandbox: Any) -> None:
    """`rerank train` finds it, and it may write where training jobs are sent."""
    account.deploy(sandbox)
    arn = account.parameters("sandbox")["training-role-arn"]
    iam, name = account.client("iam"), arn.rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    statements = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]
    bucket = account.outputs("Rerank-sandbox-Foundation")["BatchBucketName"]

    assert arn == account.outputs("Rerank-sandbox-Foundation")["TrainingRoleArn"]
    assert arn == iam.get_role(RoleName=name)["Role"]["Arn"]
    assert [f"arn:aws:s3:::{bucket}/training/*"] == [
        s["Resource"] for s in statements if s["Sid"] == "ReadAndWriteTraining"
    ]


def test_the_foundation_is_encrypted(account: Account, sandbox: Any) -> None:
    """Bucket, log group and topic use the one key, which rotates."""
    account.deploy(sandbox)
    key = account.parameters("sandbox")["kms-key-arn"]
    outputs = account.outputs("Rerank-sandbox-Foundation")
    s3, logs, sns, kms = (account.client(name) for name in ("s3", "logs", "sns", "kms"))
    encryption = s3.get_bucket_encryption(Bucket=outputs["BatchBucketName"])["ServerSideEncryptionConfiguration"]
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/")["logGroups"]

    assert key == encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert ("/aws/sagemaker/Endpoints/rerank-sandbox", 7) == (group["logGroupName"], group["retentionInDays"])
    assert key == sns.get_topic_attributes(TopicArn=outputs["AlarmTopicArn"])["Attributes"]["KmsMasterKeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True


def test_a_second_bundle_updates_the_endpoint_in_place(
    account: Account, production: Any, synthesize: Callable[..., Any], make_bundle: Callable[[str], Any]
) -> None:
    """Model and configuration are replaced, the endpoint goes over to them and keeps its instance count."""
    account.deploy(production)
    before = account.endpoint("rerank-production")
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="rerank-production",
        DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 5}],
    )
    account.deploy(synthesize("production", bundle_path=make_bundle("another model"), scaling={"max_instances": 12}))
    after = account.endpoint("rerank-production")
    (variant,) = after["endpoint"]["ProductionVariants"]
    (target,) = account.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]

    assert before["endpoint"]["CreationTime"] == after["endpoint"]["CreationTime"]
    assert before["config"]["EndpointConfigName"] != after["config"]["EndpointConfigName"]
    assert before["model"]["PrimaryContainer"]["ModelDataUrl"] != after["model"]["PrimaryContainer"]["ModelDataUrl"]
    assert 5 == variant["DesiredInstanceCount"]
    assert 12 == target["MaxCapacity"]
    assert {after["config"]["EndpointConfigName"]} == new_fleet_configs(account)


def test_what_an_update_replaced_is_gone(
    account: Account, sandbox: Any, synthesize: Callable[..., Any], make_bundle: Callable[[str], Any]
) -> None:
    """After an update one configuration, two models and one permission per role to read a bundle are left."""
    account.deploy(sandbox)
    account.deploy(synthesize("sandbox", bundle_path=make_bundle("another model")))
    role = account.endpoint("rerank-sandbox")["model"]["ExecutionRoleArn"].rpartition("/")[2]
    policies = account.client("iam").list_role_policies(RoleName=role)["PolicyNames"]

    assert 1 == len(account.sagemaker.list_endpoint_configs()["EndpointConfigs"])
    assert 2 == len(account.sagemaker.list_models()["Models"])
    assert 1 == len([name for name in policies if "Artefacts" in name])


def test_the_same_deployment_twice_changes_nothing(account: Account, sandbox: Any) -> None:
    """A second deploy of the same bundle leaves endpoint, configuration and model alone."""
    account.deploy(sandbox)
    before = account.endpoint("rerank-sandbox")
    account.deploy(sandbox)

    assert before["config"]["EndpointConfigName"] == account.endpoint("rerank-sandbox")["config"]["EndpointConfigName"]


def test_the_sandbox_leaves_nothing_behind(account: Account, sandbox: Any) -> None:
    """Deleting both stacks removes endpoint, models, scaling, alarms, parameters and buckets."""
    account.deploy(sandbox)
    for name in ("Rerank-sandbox-Endpoint", "Rerank-sandbox-Foundation"):
        account.cloudformation.delete_stack(StackName=name)
    scaling = account.client("application-autoscaling")

    assert [] == account.sagemaker.list_endpoints()["Endpoints"]
    assert [] == account.sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert [] == account.sagemaker.list_models()["Models"]
    assert [] == scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [] == alarms(account)
    assert {} == account.parameters("sandbox")
    assert [] == account.client("s3").list_buckets()["Buckets"]
    assert [] == account.client("logs").describe_log_groups()["logGroups"]
