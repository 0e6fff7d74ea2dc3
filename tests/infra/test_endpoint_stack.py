"""The template of the model and what runs it: properties, never logical ids."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODEL, CONFIG, ENDPOINT = "AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint"
ALARM, POLICY = "AWS::CloudWatch::Alarm", "AWS::IAM::Policy"


def references(value: Any) -> set[str]:
    """Logical ids a value refers to."""
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    if "Ref" in value:
        return {value["Ref"]}
    if "Fn::GetAtt" in value:
        return {value["Fn::GetAtt"][0]}
    return set().union(*map(references, value.values())) if value else set()


def waits_for(resources: dict[str, Any], name: str) -> set[str]:
    """Everything that is created before `name`."""
    resource = resources[name]
    depends = resource.get("DependsOn", [])
    direct = references(resource["Properties"]) | set([depends] if isinstance(depends, str) else depends)
    direct &= set(resources)
    return direct.union(*(waits_for(resources, other) for other in direct))


def test_the_model_is_the_bundle_under_its_own_hash(stacks: Any, bundle: Path) -> None:
    """Both models read <sha256>.tar.gz from the bootstrap bucket, which `cdk deploy` uploads there."""
    sha256 = hashlib.sha256(bundle.read_bytes()).hexdigest()
    url = f"s3://cdk-hnb659fds-assets-123456789012-us-east-1/{sha256}.tar.gz"
    files = stacks.assets["files"][f"{sha256}.tar"]

    assert [url, url] == [p["PrimaryContainer"]["ModelDataUrl"] for p in stacks.endpoint.properties(MODEL)]
    assert str(bundle) == files["source"]["path"]
    assert [f"{sha256}.tar.gz"] == [target["objectKey"] for target in files["destinations"].values()]


def test_models_are_isolated_and_configurations_encrypted(stacks: Any) -> None:
    """No container reaches the network, and volumes are under the deployment's key."""
    config = stacks.endpoint.only(CONFIG)

    assert all(p["EnableNetworkIsolation"] is True for p in stacks.endpoint.properties(MODEL))
    assert "EncryptionKey" in config["KmsKeyId"]["Fn::ImportValue"]


def test_only_the_endpoint_has_a_fixed_name(stacks: Any) -> None:
    """Models and configurations are replaced on every change, and a fixed name would be in the way."""
    assert all("ModelName" not in p for p in stacks.endpoint.properties(MODEL))
    assert all("EndpointConfigName" not in p for p in stacks.endpoint.properties(CONFIG))
    assert stacks.deployment.endpoint_name == stacks.endpoint.only(ENDPOINT)["EndpointName"]


def test_models_wait_for_every_policy_of_their_role(stacks: Any) -> None:
    """No model is created before its role may read the bundle and pull the image."""
    resources = stacks.endpoint.body["Resources"]
    for name, model in stacks.endpoint.resources(MODEL).items():
        (role,) = references(model["Properties"]["ExecutionRoleArn"])
        own = {key for key, p in stacks.endpoint.resources(POLICY).items() if {"Ref": role} in p["Properties"]["Roles"]}
        sids = {s["Sid"] for key in own & waits_for(resources, name) for s in _statements(resources[key])}

        assert {"ReadBundle", "PullImage", "WriteLogs", "UseKey"} <= sids


def _statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return list(policy["Properties"]["PolicyDocument"]["Statement"])


def test_the_variant_of_the_sandbox(sandbox: Any) -> None:
    """One CPU instance, routed to by load, with its time limits and without a GPU driver pin."""
    (variant,) = sandbox.endpoint.only(CONFIG)["ProductionVariants"]

    assert {
        "VariantName": "main",
        "InstanceType": "ml.c7i.xlarge",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 600,
        "ModelDataDownloadTimeoutInSeconds": 600,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    } == {key: value for key, value in variant.items() if key != "ModelName"}


def test_a_gpu_gets_its_image_and_its_driver(production: Any) -> None:
    """A GPU variant runs the CUDA image on a host image with the driver for it."""
    (variant,) = production.endpoint.only(CONFIG)["ProductionVariants"]
    images = {p["PrimaryContainer"]["Image"] for p in production.endpoint.properties(MODEL)}

    assert ("ml.g6.xlarge", 2) == (variant["InstanceType"], variant["InitialInstanceCount"])
    assert "al2-ami-sagemaker-inference-gpu-3-1" == variant["InferenceAmiVersion"]
    assert all("-gpu-py312-cu124-" in image for image in images)


def test_a_deploy_keeps_what_scaling_arrived_at(stacks: Any) -> None:
    """An update retains the counts and weights of the variant."""
    assert stacks.endpoint.only(ENDPOINT)["RetainAllVariantProperties"] is True


def test_metrics_are_said_either_way(stacks: Any) -> None:
    """Nothing is left to defaults that depend on the date a configuration was created."""
    assert {
        "EnableEnhancedMetrics": stacks.deployment.metrics.enhanced,
        "EnableDetailedObservability": False,
        "MetricPublishFrequencyInSeconds": 60,
    } == stacks.endpoint.only(CONFIG)["MetricsConfig"]


def test_a_single_instance_is_replaced_all_at_once(sandbox: Any) -> None:
    """The sandbox switches to a second instance, with alarms watched for a while."""
    assert {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 180},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": 3600,
    } == sandbox.endpoint.only(ENDPOINT)["DeploymentConfig"]["BlueGreenUpdatePolicy"]


def test_production_rolls_half_by_half(production: Any) -> None:
    """Production replaces half of the fleet at a time."""
    deployment = production.endpoint.only(ENDPOINT)["DeploymentConfig"]

    assert "BlueGreenUpdatePolicy" not in deployment
    assert {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 300,
        "MaximumExecutionTimeoutInSeconds": 7200,
    } == deployment["RollingUpdatePolicy"]


@pytest.mark.parametrize(
    ("kind", "step"), [("canary", "CanarySize"), ("linear", "LinearStepSize")], ids=["canary", "linear"]
)
def test_blue_green_steps(synthesize: Callable[..., Any], kind: str, step: str) -> None:
    """Canary and linear updates send the first share of the traffic to the new fleet."""
    stacks = synthesize("production", rollout={"kind": kind, "step_percent": 25, "termination_wait_seconds": 60})
    policy = stacks.endpoint.only(ENDPOINT)["DeploymentConfig"]["BlueGreenUpdatePolicy"]

    assert {
        "Type": kind.upper(),
        "WaitIntervalInSeconds": 300,
        step: {"Type": "CAPACITY_PERCENT", "Value": 25},
    } == policy["TrafficRoutingConfiguration"]
    assert 60 == policy["TerminationWaitInSeconds"]


def test_rollback_alarms_watch_the_new_fleet_and_exist_first(stacks: Any) -> None:
    """Alarms that call an update off see the new configuration only, and the endpoint waits for them."""
    resources, template = stacks.endpoint.body["Resources"], stacks.endpoint
    (endpoint,) = template.resources(ENDPOINT)
    (config,) = template.resources(CONFIG)
    rollback = resources[endpoint]["Properties"]["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    names = {alarm["AlarmName"]["Ref"] for alarm in rollback}

    assert 3 == len(names)
    assert names <= waits_for(resources, endpoint)
    for name in names:
        assert {config} == references(resources[name]["Properties"]["Metrics"])
        assert endpoint not in waits_for(resources, name)


def test_the_role_may_watch_the_rollback_alarms(stacks: Any) -> None:
    """The execution role describes exactly those alarms, and has the permission before the endpoint is updated."""
    resources = stacks.endpoint.body["Resources"]
    (endpoint,) = stacks.endpoint.resources(ENDPOINT)
    rollback = resources[endpoint]["Properties"]["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    (statement,) = stacks.endpoint.statements("WatchAlarms")
    (policy,) = [k for k, p in stacks.endpoint.resources(POLICY).items() if statement in _statements(p)]

    assert {alarm["AlarmName"]["Ref"] for alarm in rollback} == references(statement["Resource"])
    assert policy in waits_for(resources, endpoint)


def test_without_rollback_alarms_nothing_is_rolled_back(synthesize: Callable[..., Any]) -> None:
    """An empty list leaves out the rollback and its permission."""
    stacks = synthesize("sandbox", rollout={"alarms": [], "wait_seconds": 0})

    assert "AutoRollbackConfiguration" not in stacks.endpoint.only(ENDPOINT)["DeploymentConfig"]
    assert [] == stacks.endpoint.statements("WatchAlarms")


def test_inside_a_vpc(synthesize: Callable[..., Any]) -> None:
    """With subnets both models attach to them, and their roles may make network interfaces."""
    subnets, groups = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"], ["sg-0123456789abcdef0"]
    stacks = synthesize("sandbox", network={"subnets": subnets, "security_groups": groups})
    expected = {"Subnets": subnets, "SecurityGroupIds": groups}

    assert [expected, expected] == [p["VpcConfig"] for p in stacks.endpoint.properties(MODEL)]
    assert 2 == len(stacks.endpoint.statements("AttachToVpc"))


def test_captured_requests_are_encrypted(synthesize: Callable[..., Any]) -> None:
    """Data capture, once asked for, writes JSON under the deployment's key to a prefix the role may write."""
    stacks = synthesize("sandbox", data_capture={"enabled": True, "sampling_percent": 5})
    capture = stacks.endpoint.only(CONFIG)["DataCaptureConfig"]
    (statement,) = stacks.endpoint.statements("WriteCaptures")

    assert (True, 5) == (capture["EnableCapture"], capture["InitialSamplingPercentage"])
    assert ["application/json", "application/jsonlines"] == capture["CaptureContentTypeHeader"]["JsonContentTypes"]
    assert "/capture/*" == statement["Resource"]["Fn::Join"][1][-1]


def test_requests_are_not_captured_unless_asked(stacks: Any) -> None:
    """Users' text stays out of S3 by default."""
    assert "DataCaptureConfig" not in stacks.endpoint.only(CONFIG)


def test_our_own_image(synthesize: Callable[..., Any]) -> None:
    """An image of ours is run as it is: with settings only, its repository in the role, its /metrics read if asked."""
    uri = "111122223333.dkr.ecr.us-east-1.amazonaws.com/team/reranker:1.0.0"
    stacks = synthesize(
        "sandbox",
        container={"image": uri},
        settings={"RERANK_MAX_DOCUMENTS": 100},
        metrics={"scrape_container": True},
    )
    containers = [p["PrimaryContainer"] for p in stacks.endpoint.properties(MODEL)]

    assert [uri, uri] == [container["Image"] for container in containers]
    assert {"RERANK_MAX_DOCUMENTS": "100"} in [container["Environment"] for container in containers]
    assert {"arn:aws:ecr:us-east-1:111122223333:repository/team/reranker"} == {
        statement["Resource"] for statement in stacks.endpoint.statements("PullImage")
    }
    assert stacks.endpoint.only(CONFIG)["MetricsConfig"]["EnableDetailedObservability"] is True


def test_batch_jobs_may_run_on_another_kind_of_instance(synthesize: Callable[..., Any]) -> None:
    """The batch model's image follows the batch jobs' instance type, not the endpoint's."""
    stacks = synthesize("sandbox", batch={"instance_type": "ml.g5.xlarge"})
    images = [p["PrimaryContainer"]["Image"] for p in stacks.endpoint.properties(MODEL)]

    assert [False, True] == sorted("-gpu-" in image for image in images)


def test_other_partitions(synthesize: Callable[..., Any]) -> None:
    """In China every ARN and registry is of that partition."""
    stacks = synthesize("sandbox", region="cn-north-1")
    text = json.dumps([stacks.foundation.body, stacks.endpoint.body])

    assert "arn:aws:" not in text
    assert "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/" in text


def test_names_are_published(stacks: Any) -> None:
    """Other programs find the endpoint and the batch model under /rerank/<deployment>/."""
    templates = (stacks.foundation, stacks.endpoint)
    names = {p["Name"] for t in templates for p in t.properties("AWS::SSM::Parameter")}
    outputs = {key for t in templates for key, value in t.body["Outputs"].items() if "Export" not in value}
    trains = stacks.deployment.training.enabled

    assert {
        f"/rerank/{stacks.deployment.name}/{name}"
        for name in (
            "batch-input-uri",
            "batch-instance-type",
            "batch-max-concurrent",
            "batch-max-payload-mb",
            "batch-model-name",
            "batch-output-uri",
            "batch-timeout-seconds",
            "bundle-sha256",
            "endpoint-arn",
            "endpoint-name",
            "kms-key-arn",
            *(["training-role-arn"] if trains else []),
        )
    } == names
    assert {
        "AlarmTopicArn",
        "BatchBucketName",
        "BatchModelName",
        "BundleSha256",
        "EndpointArn",
        "EndpointName",
        "InvokePolicyArn",
        *(["TrainingRoleArn"] if trains else []),
    } == outputs
