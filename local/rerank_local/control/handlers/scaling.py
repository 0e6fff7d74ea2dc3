"""Application Auto Scaling: scalable targets with their schedules, and scaling policies."""

from typing import Any

from rerank_local.control.handlers.base import Call, Handler, Made, Resource, pick

_TARGET_KEYS = ("ResourceId", "ScalableDimension", "ServiceNamespace")


class ScalableTarget(Handler):
    """AWS::ApplicationAutoScaling::ScalableTarget; Ref is `resource|dimension|namespace`."""

    type = "AWS::ApplicationAutoScaling::ScalableTarget"

    def create(self, call: Call) -> Made:
        """RegisterScalableTarget."""
        client = call.client("application-autoscaling")
        client.register_scalable_target(**call.arguments(client, "RegisterScalableTarget"))
        ref = "|".join(call.properties[key] for key in _TARGET_KEYS)
        return Made(ref, {"Id": ref})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Capacities, suspension and scheduled actions."""
        client, target = call.client("application-autoscaling"), _target(made.physical_id)
        if old is not None:
            client.register_scalable_target(**call.arguments(client, "RegisterScalableTarget"))
        actions = {action["ScheduledActionName"]: action for action in call.properties.get("ScheduledActions", [])}
        for action in actions.values():
            client.put_scheduled_action(**target, **action)
        before = old.properties.get("ScheduledActions", []) if old else []
        for name in sorted({action["ScheduledActionName"] for action in before} - set(actions)):
            client.delete_scheduled_action(**target, ScheduledActionName=name)

    def delete(self, call: Call, old: Resource) -> None:
        """Deletes the schedules, then deregisters."""
        client, target = call.client("application-autoscaling"), _target(old.physical_id)
        for action in old.properties.get("ScheduledActions", []):
            client.delete_scheduled_action(**target, ScheduledActionName=action["ScheduledActionName"])
        client.deregister_scalable_target(**target)


class ScalingPolicy(Handler):
    """AWS::ApplicationAutoScaling::ScalingPolicy; Ref is its ARN."""

    type = "AWS::ApplicationAutoScaling::ScalingPolicy"
    name_property = "PolicyName"

    def create(self, call: Call) -> Made:
        """PutScalingPolicy."""
        arn = self._put(call)
        return Made(arn, {"Arn": arn})

    def update(self, call: Call, old: Resource) -> Made:
        """PutScalingPolicy again."""
        arn = self._put(call)
        return Made(arn, {"Arn": arn})

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteScalingPolicy."""
        client = call.client("application-autoscaling")
        client.delete_scaling_policy(PolicyName=old.name, **_policy_target(old.properties))

    def _put(self, call: Call) -> str:
        client = call.client("application-autoscaling")
        arguments = call.arguments(client, "PutScalingPolicy", *_TARGET_KEYS)
        call.properties.read.add("ScalingTargetId")
        target = _policy_target(call.properties)
        arn: str = client.put_scaling_policy(**{**arguments, **target, "PolicyName": call.name})["PolicyARN"]
        return arn


HANDLERS: tuple[Handler, ...] = (ScalableTarget(), ScalingPolicy())


def _target(ref: str) -> dict[str, str]:
    return dict(zip(_TARGET_KEYS, ref.split("|"), strict=True))


def _policy_target(properties: Any) -> dict[str, str]:
    if "ScalingTargetId" in properties:
        return _target(properties["ScalingTargetId"])
    return pick(properties, _TARGET_KEYS)
