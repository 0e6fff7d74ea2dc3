"""Every property by which an alarm decides, exactly: direction, minutes, statistic, what silence means."""

from collections.abc import Callable
from typing import Any

import pytest

ALARM = "AWS::CloudWatch::Alarm"
# metric: statistic
ERRORS_5XX = {"Invocation5XXErrors": "Sum"}
ERRORS_4XX = {"Invocations": "Sum", "Invocation4XXErrors": "Sum"}
LATENCY = {"ModelLatency": "p99"}
OVERHEAD = {"OverheadLatency": "p99"}
GPU_MEMORY = {"GPUMemoryUtilization": "Average"}

# what is read, threshold (latencies in microseconds)
EXPECTED = {
    "sandbox": {
        "new fleet": [(ERRORS_5XX, 1), (ERRORS_4XX, 25), (LATENCY, 2_000_000)],
        "endpoint": [(ERRORS_5XX, 1), (ERRORS_4XX, 25), (LATENCY, 2_000_000), (OVERHEAD, 500_000)],
    },
    "production": {
        "new fleet": [(ERRORS_5XX, 1), (ERRORS_4XX, 25), (LATENCY, 1_000_000)],
        "endpoint": [
            (ERRORS_5XX, 1),
            (ERRORS_4XX, 25),
            (LATENCY, 1_000_000),
            (OVERHEAD, 500_000),
            (GPU_MEMORY, 90),
        ],
    },
}
DECIDES = {
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 2,
    "TreatMissingData": "notBreaching",
}
TOLD = {"AlarmActions", "AlarmDescription", "Metrics", "Tags", "Threshold"}


def read(alarm: dict[str, Any]) -> tuple[str, tuple[dict[str, str], float]]:
    """Which fleet an alarm is on, the statistics it reads, its threshold."""
    stats = [m["MetricStat"] for m in alarm["Metrics"] if "MetricStat" in m]
    dimensions = {d["Name"] for stat in stats for d in stat["Metric"]["Dimensions"]}
    fleet = "new fleet" if "EndpointConfigName" in dimensions else "endpoint"
    return fleet, ({stat["Metric"]["MetricName"]: stat["Stat"] for stat in stats}, alarm["Threshold"])


def test_what_the_alarms_read_is_exactly_this(stacks: Any) -> None:
    """Sums of errors, the 99th percentile of latencies, the mean of memory; each alarm once."""
    found: dict[str, list[Any]] = {"new fleet": [], "endpoint": []}
    for alarm in stacks.endpoint.properties(ALARM):
        fleet, reading = read(alarm)
        found[fleet].append(reading)
    expected = EXPECTED[stacks.deployment.name]

    assert {fleet: sorted(e, key=str) for fleet, e in expected.items()} == {
        fleet: sorted(f, key=str) for fleet, f in found.items()
    }


def test_how_the_alarms_decide_is_exactly_this(stacks: Any) -> None:
    """At or above the threshold, in both of two minutes, and silence is no alarm; no other property decides."""
    for alarm in stacks.endpoint.properties(ALARM):
        assert DECIDES == {name: value for name, value in alarm.items() if name not in TOLD}


def test_every_value_is_of_one_minute(stacks: Any) -> None:
    """A minute is SageMaker's own period: nothing is seen earlier, and longer ones see an outage late."""
    for alarm in stacks.endpoint.properties(ALARM):
        periods = {m["MetricStat"]["Period"] for m in alarm["Metrics"] if "MetricStat" in m}
        periods |= {m["Period"] for m in alarm["Metrics"] if "Period" in m}

        assert {60} == periods


@pytest.mark.parametrize("minutes", [1, 3])
def test_the_minutes_are_the_deployments(synthesize: Callable[..., Any], minutes: int) -> None:
    """evaluation_minutes is how many minutes in a row have to be bad, no more and no fewer."""
    stacks = synthesize("sandbox", alarms={"evaluation_minutes": minutes}, rollout={"wait_seconds": 300})
    found = [(a["EvaluationPeriods"], a["DatapointsToAlarm"]) for a in stacks.endpoint.properties(ALARM)]

    assert [(minutes, minutes)] * 7 == found
