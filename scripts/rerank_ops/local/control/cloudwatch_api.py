"""PutCompositeAlarm, which moto describes but does not offer. Rules are kept and shown, not evaluated."""

from typing import Any


def install() -> None:
    """Adds the operation to moto's CloudWatch."""
    from moto.cloudwatch.responses import CloudWatchResponse
    from moto.core.responses import EmptyResult

    def put_composite_alarm(self: Any) -> Any:
        _put(self.cloudwatch_backend, self._get_param)
        return EmptyResult()

    CloudWatchResponse.put_composite_alarm = put_composite_alarm


def _put(backend: Any, parameter: Any) -> None:
    enabled = parameter("ActionsEnabled")
    backend.put_metric_alarm(
        name=parameter("AlarmName"),
        rule=parameter("AlarmRule"),
        description=parameter("AlarmDescription"),
        alarm_actions=parameter("AlarmActions") or [],
        ok_actions=parameter("OKActions") or [],
        insufficient_data_actions=parameter("InsufficientDataActions") or [],
        actions_enabled=True if enabled is None else enabled,
        tags=parameter("Tags"),
        namespace="",
        metric_name="",
        comparison_operator="",
        evaluation_periods=0,
        period=0,
        threshold=0.0,
        statistic="",
        dimensions=[],
    )
