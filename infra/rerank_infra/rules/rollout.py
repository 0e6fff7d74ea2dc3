"""How an update goes through the fleet, and whether its alarms can see it."""

import math
from collections.abc import Iterator

from rerank_infra.deployment import Deployment
from rerank_infra.errors import Problem


def _rollout(d: Deployment) -> Iterator[Problem]:
    r, smallest, largest = d.rollout, *fleet_sizes(d)
    in_steps = r.kind != "all-at-once"
    if in_steps and (r.step_percent is None) == (r.step_instances is None):
        yield Problem(
            "rollout.step_percent",
            r.step_percent,
            f"A {r.kind} rollout takes exactly one of step_percent and step_instances.",
            "Write step_instances = 1 for the gentlest one.",
        )
        return
    if not in_steps and (r.step_percent or r.step_instances):
        yield Problem("rollout.kind", r.kind, "It has no steps.", "Remove step_percent and step_instances.")
    if in_steps and smallest < 2:
        yield Problem(
            "rollout.kind",
            r.kind,
            f"It needs 2 instances at all times, and the fleet may have {smallest}.",
            'Write "all-at-once", or raise scaling.min_instances (and those of the schedules).',
        )
        return
    low = {"rolling": 5, "canary": 1, "linear": 10}.get(r.kind, 1)
    if in_steps and r.step_percent is not None and not low <= r.step_percent <= 50:
        yield Problem("rollout.step_percent", r.step_percent, f"SageMaker takes {low}..50 %.", "Write 50 or less.")
    if in_steps and r.step_instances is not None and not low * largest <= 100 * r.step_instances <= 50 * smallest:
        yield Problem(
            "rollout.step_instances",
            r.step_instances,
            f"SageMaker takes {low}..50 % of the fleet, which has {smallest}..{largest} instances.",
            "Write step_percent instead, or narrow the range of the fleet.",
        )
    if r.kind == "rolling" and r.termination_wait_seconds:
        yield Problem(
            "rollout.termination_wait_seconds",
            r.termination_wait_seconds,
            "A rolling update keeps no old fleet to wait with.",
            "Leave it out, or choose a blue/green kind: canary, linear, all-at-once.",
        )
    yield from _waits(d, steps=_steps(d, largest))


def fleet_sizes(d: Deployment) -> tuple[int, int]:
    """Least and most instances the fleet may have when a rollout starts."""
    if not d.scaling.enabled:
        return d.endpoint.initial_instance_count, d.endpoint.initial_instance_count
    least = [d.scaling.min_instances, *(schedule.min_instances for schedule in d.scaling.schedules)]
    most = [d.scaling.max_instances, *(schedule.max_instances for schedule in d.scaling.schedules)]
    return min(least), max(most)


def _steps(d: Deployment, largest: int) -> int:
    if d.rollout.kind in ("all-at-once", "canary"):
        return 1
    if d.rollout.step_percent is not None:
        return math.ceil(100 / d.rollout.step_percent)
    return math.ceil(largest / (d.rollout.step_instances or 1))


def _waits(d: Deployment, *, steps: int) -> Iterator[Problem]:
    r = d.rollout
    waits_s = steps * r.wait_seconds + r.termination_wait_seconds
    if waits_s >= r.max_execution_timeout_seconds:
        yield Problem(
            "rollout.max_execution_timeout_seconds",
            r.max_execution_timeout_seconds,
            f"The waits alone take {waits_s} s: {steps} × {r.wait_seconds} + {r.termination_wait_seconds}.",
            "Raise it well beyond that (provisioning takes minutes), or shorten the waits.",
        )
    # An alarm needs its whole evaluation window, and metrics arrive up to a minute late.
    seen_after_s = 60 * (d.alarms.evaluation_minutes + 1)
    if r.alarms and r.wait_seconds < seen_after_s:
        yield Problem(
            "rollout.wait_seconds",
            r.wait_seconds,
            f"The alarms see a bad model after {seen_after_s} s: 60 × (alarms.evaluation_minutes + 1).",
            f"Write {seen_after_s} or more, or nothing is left to roll back.",
        )
    if r.kind != "all-at-once" and not r.alarms:
        yield Problem(
            "rollout.alarms", (), "Steps without alarms wait for nothing.", 'Write ["errors_5xx", "errors_4xx"].'
        )


RULES = (_rollout,)
