"""Small operations that moto lacks and our stacks or the CDK CLI call.

* PutCompositeAlarm: moto describes such alarms but cannot make them. Rules are kept and shown, not evaluated.
* CloudTrail LookupEvents: the CLI asks it why a deployment failed; there is no trail here, so: nothing found.
"""

import json
from typing import Any


def install() -> None:
    """Adds the operations to moto."""
    from moto.cloudtrail.responses import CloudTrailResponse
    from moto.cloudwatch.responses import CloudWatchResponse
    from moto.core.responses import EmptyResult

    def put_composite_alarm(self: Any) -> Any:
        _put(self.cloudwatch_backend, self._get_param)
        return EmptyResult()

    CloudWatchResponse.put_composite_alarm = put_composite_alarm
    CloudTrailResponse.lookup_events = lambda self: json.dumps({"Events": []})


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
