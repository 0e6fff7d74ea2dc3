"""How the fleet follows the load, and who is told when it does not."""

from collections.abc import Callable
from typing import Any

import pytest

TARGET, POLICY = "AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"
ALARM = "AWS::CloudWatch::Alarm"


def test_instances_follow_concurrent_requests(production: Any) -> None:
    """By default the fleet tracks concurrent requests per model, published every ten seconds."""
    policy = production.endpoint.only(POLICY)["TargetTrackingScalingPolicyConfiguration"]

    assert {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
        },
        "TargetValue": 4,
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
    } == policy


def test_the_range_of_the_fleet(stacks: Any) -> None:
    """The scalable target is the variant's instance count, within the deployment's range."""
    target, scaling = stacks.endpoint.only(TARGET), stacks.deployment.scaling

    assert ("sagemaker", "sagemaker:variant:DesiredInstanceCount") == (
        target["ServiceNamespace"],
        target["ScalableDimension"],
    )
    assert (scaling.min_instances, scaling.max_instances) == (target["MinCapacity"], target["MaxCapacity"])


def test_the_target_is_named_through_the_endpoint(stacks: Any) -> None:
    """It is registered after the endpoint exists and deregistered before it is deleted."""
    head, name, tail = stacks.endpoint.only(TARGET)["ResourceId"]["Fn::Join"][1]

    assert ("endpoint/", "EndpointName", "/variant/main") == (head, name["Fn::GetAtt"][1], tail)


def test_scaling_uses_the_service_linked_role(stacks: Any) -> None:
    """No role of its own: Application Auto Scaling assumes the one AWS makes for it."""
    arn = "".join(part for part in stacks.endpoint.only(TARGET)["RoleARN"]["Fn::Join"][1] if isinstance(part, str))
    trusted = [p["AssumeRolePolicyDocument"]["Statement"] for p in stacks.endpoint.properties("AWS::IAM::Role")]

    assert arn.endswith("/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    assert {"sagemaker.amazonaws.com"} == {s["Principal"]["Service"] for statements in trusted for s in statements}


def test_invocations_per_instance_by_choice(synthesize: Callable[..., Any]) -> None:
    """A deployment may track calls per instance and minute instead."""
    stacks = synthesize("sandbox", scaling={"metric": "invocations", "target": 300.0})
    policy = stacks.endpoint.only(POLICY)["TargetTrackingScalingPolicyConfiguration"]

    assert ("SageMakerVariantInvocationsPerInstance", 300) == (
        policy["PredefinedMetricSpecification"]["PredefinedMetricType"],
        policy["TargetValue"],
    )


def test_schedules_move_the_range(synthesize: Callable[..., Any]) -> None:
    """Each schedule is an action with its own range and time zone."""
    night = {
        "name": "night",
        "at": "cron(0 20 * * ? *)",
        "timezone": "Europe/Berlin",
        "min_instances": 2,
        "max_instances": 4,
    }
    stacks = synthesize("production", scaling={"schedules": [night]})

    assert [
        {
            "ScheduledActionName": "night",
            "Schedule": "cron(0 20 * * ? *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 4},
        }
    ] == stacks.endpoint.only(TARGET)["ScheduledActions"]


def test_a_fixed_fleet_has_no_scaling(synthesize: Callable[..., Any]) -> None:
    """Scaling can be left out."""
    stacks = synthesize("sandbox", scaling={"enabled": False})

    assert ({}, {}) == (stacks.endpoint.resources(TARGET), stacks.endpoint.resources(POLICY))


def watched(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics an alarm reads, dimensions as a mapping."""
    metrics = [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]
    return [m | {"Dimensions": {d["Name"]: d["Value"] for d in m["Dimensions"]}} for m in metrics]


def fleet_alarms(stacks: Any) -> dict[str, dict[str, Any]]:
    """Alarms on the endpoint as a whole, by the names of the metrics they read."""
    return {
        " ".join(sorted(metric["MetricName"] for metric in watched(alarm))): alarm
        for alarm in stacks.endpoint.properties(ALARM)
        if not any("EndpointConfigName" in metric["Dimensions"] for metric in watched(alarm))
    }


def test_what_is_watched(production: Any) -> None:
    """Errors, latency, overhead and GPU memory have alarms, with thresholds in the metric's own unit."""
    thresholds = {name: alarm["Threshold"] for name, alarm in fleet_alarms(production).items()}

    assert {
        "Invocation5XXErrors": 1,
        "Invocation4XXErrors Invocations": 25,
        "ModelLatency": 1_000_000,
        "OverheadLatency": 500_000,
        "GPUMemoryUtilization": 90,
    } == thresholds


def test_a_cpu_has_no_gpu_alarm(sandbox: Any) -> None:
    """There is no alarm that could never go off."""
    assert "GPUMemoryUtilization" not in fleet_alarms(sandbox)


def test_alarms_read_the_metrics_sagemaker_publishes(stacks: Any) -> None:
    """Endpoint and variant are the dimensions; calls and instances are in their own namespaces."""
    expected = {"EndpointName": stacks.deployment.endpoint_name, "VariantName": "main"}
    for metric in [metric for alarm in fleet_alarms(stacks).values() for metric in watched(alarm)]:
        of_instances = metric["MetricName"].endswith("Utilization")

        assert expected == metric["Dimensions"]
        assert ("/aws/sagemaker/Endpoints" if of_instances else "AWS/SageMaker") == metric["Namespace"]


def test_silence_is_not_an_alarm(stacks: Any) -> None:
    """An endpoint without calls is quiet, and every alarm tells the topic."""
    for alarm in stacks.endpoint.properties(ALARM):
        assert "notBreaching" == alarm["TreatMissingData"]
        assert 1 == len(alarm["AlarmActions"])


def test_refusals_are_a_rate(stacks: Any) -> None:
    """4xx answers alarm as a share of the calls, and only when there are enough of them."""
    alarm = fleet_alarms(stacks)["Invocation4XXErrors Invocations"]
    (expression,) = [m["Expression"] for m in alarm["Metrics"] if "Expression" in m]

    assert "IF(calls >= 20, 100 * errors / calls, 0)" == expression


@pytest.mark.parametrize("name", ["Invocations", "ModelLatency", "OverheadLatency", "ConcurrentRequestsPerModel"])
def test_the_dashboard_shows(stacks: Any, name: str) -> None:
    """One page shows calls, latencies and concurrency of the endpoint."""
    body = stacks.endpoint.only("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    text = "".join(part for part in body if isinstance(part, str))

    assert f'"{name}","EndpointName","{stacks.deployment.endpoint_name}","VariantName","main"' in text


def test_the_dashboard_shows_gpus_where_there_are_any(sandbox: Any, production: Any) -> None:
    """GPU graphs come with GPU instances."""
    bodies = [str(s.endpoint.only("AWS::CloudWatch::Dashboard")["DashboardBody"]) for s in (sandbox, production)]

    assert [False, True] == ["GPUUtilization" in body for body in bodies]
