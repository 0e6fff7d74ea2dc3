"""How an update goes through the fleet: SageMaker's deployment guardrails, from the [rollout] table. Pure."""

from collections.abc import Sequence

from aws_cdk import aws_sagemaker as sagemaker

from rerank_infra.deployment import Rollout

Config = sagemaker.CfnEndpoint.DeploymentConfigProperty


def deployment_config(rollout: Rollout, alarm_names: Sequence[str]) -> Config:
    """The endpoint's DeploymentConfig, rolled back when one of the alarms goes off."""
    rollback = sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
        alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=name) for name in alarm_names]
    )
    policy = _rolling(rollout) if rollout.kind == "rolling" else None
    return sagemaker.CfnEndpoint.DeploymentConfigProperty(
        auto_rollback_configuration=rollback if alarm_names else None,
        rolling_update_policy=policy,
        blue_green_update_policy=_blue_green(rollout) if policy is None else None,
    )


def _rolling(rollout: Rollout) -> sagemaker.CfnEndpoint.RollingUpdatePolicyProperty:
    return sagemaker.CfnEndpoint.RollingUpdatePolicyProperty(
        maximum_batch_size=_step(rollout),
        wait_interval_in_seconds=rollout.wait_seconds,
        maximum_execution_timeout_in_seconds=rollout.max_execution_timeout_seconds,
    )


def _blue_green(rollout: Rollout) -> sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty:
    routing = sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
        type={"canary": "CANARY", "linear": "LINEAR"}.get(rollout.kind, "ALL_AT_ONCE"),
        wait_interval_in_seconds=rollout.wait_seconds,
        canary_size=_step(rollout) if rollout.kind == "canary" else None,
        linear_step_size=_step(rollout) if rollout.kind == "linear" else None,
    )
    return sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
        traffic_routing_configuration=routing,
        termination_wait_in_seconds=rollout.termination_wait_seconds,
        maximum_execution_timeout_in_seconds=rollout.max_execution_timeout_seconds,
    )


def _step(rollout: Rollout) -> sagemaker.CfnEndpoint.CapacitySizeProperty:
    if rollout.step_percent is not None:
        return sagemaker.CfnEndpoint.CapacitySizeProperty(type="CAPACITY_PERCENT", value=rollout.step_percent)
    return sagemaker.CfnEndpoint.CapacitySizeProperty(type="INSTANCE_COUNT", value=rollout.step_instances or 1)
