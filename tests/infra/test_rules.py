"""What one key demands of another."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from rerank_infra import loading
from rerank_infra.deployment import Deployment
from rerank_infra.errors import ConfigError

ROOT = Path(__file__).parents[2]
OWN_IMAGE = {"image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/reranker:1.0.0"}
SCHEDULE = {"name": "night", "at": "cron(0 20 * * ? *)", "min_instances": 2, "max_instances": 4}
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
GROUPS = ["sg-0123456789abcdef0"]


def tables(base: str, changes: dict[str, Any]) -> dict[str, Any]:
    content = tomllib.loads((ROOT / "infra" / "deployments" / f"{base}.toml").read_text())
    for table, keys in changes.items():
        content[table] = content.get(table, {}) | keys
    return content


def validate(base: str, **changes: dict[str, Any]) -> Deployment:
    return loading.validate(tables(base, changes), source=f"{base}.toml")


@pytest.mark.parametrize(
    ("base", "changes", "key", "message"),
    [
        # instances
        ("sandbox", {"endpoint": {"instance_type": "ml.c7g.xlarge"}}, "endpoint.instance_type", "x86 only"),
        ("sandbox", {"endpoint": {"instance_type": "ml.g7e.2xlarge"}}, "endpoint.instance_type", "Blackwell"),
        ("sandbox", {"endpoint": {"instance_type": "ml.p6-b200.48xlarge"}}, "endpoint.instance_type", "several GPUs"),
        ("sandbox", {"endpoint": {"instance_type": "ml.inf2.xlarge"}}, "endpoint.instance_type", "no code for"),
        ("sandbox", {"endpoint": {"instance_type": "ml.g6.12xlarge"}}, "endpoint.instance_type", "engine runs on one"),
        ("sandbox", {"endpoint": {"instance_type": "ml.t2.xlarge"}}, "endpoint.instance_type", "Burstable"),
        (
            "sandbox",
            {"endpoint": {"inference_ami_version": "al2-ami-sagemaker-inference-gpu-3-1"}},
            "endpoint.inference_ami_version",
            "no GPU",
        ),
        ("production", {"endpoint": {"volume_size_gb": 100}}, "endpoint.volume_size_gb", "local disks"),
        # image
        ("sandbox", {"container": {"image": "huggingface"}}, "container.image", "neither hf nor an ECR image"),
        ("sandbox", {"container": {"image": OWN_IMAGE["image"][:-6]}}, "container.image", "A tag that moves"),
        (
            "sandbox",
            {"container": {"image": OWN_IMAGE["image"][:-5] + "latest"}},
            "container.image",
            "A tag that moves",
        ),
        # engine settings
        ("sandbox", {"settings": {"RERANK_TOKEN_BUDGT": 1}}, "settings.RERANK_TOKEN_BUDGT", "is not a setting"),
        ("sandbox", {"settings": {"token_budget": 1}}, "settings.token_budget", "Not a setting"),
        ("sandbox", {"settings": {"RERANK_TOKEN_BUDGET": 1}}, "settings.RERANK_TOKEN_BUDGET", "Must be within"),
        ("sandbox", {"settings": {"RERANK_PRECISION": "int4"}}, "settings.RERANK_PRECISION", "Choose one of"),
        ("sandbox", {"settings": {"RERANK_DEVICE": "cuda"}}, "settings.RERANK_DEVICE", "no GPU"),
        ("sandbox", {"settings": {"RERANK_BIND_HOST": "0.0.0.0"}}, "settings.RERANK_BIND_HOST", "image sets it"),
        ("sandbox", {"settings": {"RERANK_DEADLINE_SECONDS": 90}}, "settings.RERANK_DEADLINE_SECONDS", "comes first"),
        ("sandbox", {"settings": {"RERANK_MAX_BODY_BYTES": 2**24}}, "settings.RERANK_MAX_BODY_BYTES", "comes first"),
        # scaling
        ("sandbox", {"scaling": {"min_instances": 0}}, "scaling.min_instances", "at least one instance"),
        ("sandbox", {"endpoint": {"initial_instance_count": 5}}, "endpoint.initial_instance_count", "outside"),
        ("production", {"scaling": {"min_instances": 3}}, "endpoint.initial_instance_count", "outside"),
        ("sandbox", {"scaling": {"metric": "invocations", "target": None}}, "scaling.target", "depend on the model"),
        (
            "production",
            {"scaling": {"schedules": [SCHEDULE | {"min_instances": 0}]}, "rollout": {"kind": "all-at-once"}},
            "scaling.schedules[0].min_instances",
            "within 1..4",
        ),
        (
            "production",
            {"scaling": {"schedules": [SCHEDULE | {"timezone": "Mars/Base"}]}},
            "scaling.schedules[0].timezone",
            "No such time zone",
        ),
        ("production", {"scaling": {"schedules": [SCHEDULE, SCHEDULE]}}, "scaling.schedules[0].name", "Another"),
        ("production", {"scaling": {"enabled": False, "schedules": [SCHEDULE]}}, "scaling.enabled", "do nothing"),
        # rollout
        ("sandbox", {"rollout": {"kind": "canary", "step_percent": 50}}, "rollout.kind", "needs 2 instances"),
        ("sandbox", {"rollout": {"kind": "rolling", "step_instances": 1}}, "rollout.kind", "needs 2 instances"),
        (
            "production",
            {"scaling": {"schedules": [SCHEDULE | {"min_instances": 1}]}},
            "rollout.kind",
            "the fleet may have 1",
        ),
        ("production", {"rollout": {"step_percent": 4}}, "rollout.step_percent", "5..50 %"),
        ("production", {"rollout": {"step_percent": 60}}, "rollout.step_percent", "5..50 %"),
        ("production", {"rollout": {"kind": "linear", "step_percent": 9}}, "rollout.step_percent", "10..50 %"),
        ("production", {"rollout": {"step_instances": 1}}, "rollout.step_percent", "exactly one of"),
        ("production", {"rollout": {"kind": "all-at-once"}}, "rollout.kind", "It has no steps"),
        (
            "production",
            {"rollout": {"step_percent": None, "step_instances": 2}},
            "rollout.step_instances",
            "which has 2..8 instances",
        ),
        (
            "production",
            {"rollout": {"termination_wait_seconds": 60}},
            "rollout.termination_wait_seconds",
            "no old fleet",
        ),
        (
            "production",
            {"rollout": {"max_execution_timeout_seconds": 600}},
            "rollout.max_execution_timeout_seconds",
            "take 600 s: 2 × 300 + 0",
        ),
        ("production", {"rollout": {"wait_seconds": 120}}, "rollout.wait_seconds", "after 180 s"),
        ("production", {"rollout": {"alarms": []}}, "rollout.alarms", "wait for nothing"),
        # network, alarms, metrics
        ("sandbox", {"network": {"subnets": SUBNETS[:1], "security_groups": GROUPS}}, "network.subnets", "two avail"),
        ("sandbox", {"network": {"subnets": SUBNETS}}, "network.security_groups", "come together"),
        (
            "sandbox",
            {"alarms": {"email": "a@b.c", "topic_arn": "arn:aws:sns:us-east-1:123456789012:t"}},
            "alarms.email",
            "topic of yours",
        ),
        ("sandbox", {"metrics": {"scrape_container": True}}, "metrics.scrape_container", "no /metrics"),
        # batch
        ("sandbox", {"batch": {"max_payload_mb": 30, "max_concurrent": 4}}, "batch.max_concurrent", "120 MB"),
        ("sandbox", {"batch": {"instance_type": "ml.p5.4xlarge"}}, "batch.instance_type", "does not offer it"),
    ],
)
def test_a_contradiction_is_named_with_its_key(base: str, changes: dict[str, Any], key: str, message: str) -> None:
    """Keys that do not go together are refused, with the key's path, its value and what to do."""
    kept = {table: {k: v for k, v in keys.items() if v is not None} for table, keys in changes.items()}
    content = tables(base, kept)
    for table, keys in changes.items():
        for name in (name for name, value in keys.items() if value is None):
            content[table].pop(name, None)

    with pytest.raises(ConfigError) as caught:
        loading.validate(content, source=f"{base}.toml")

    found = {problem.key: problem for problem in caught.value.problems}
    assert key in found
    assert message in found[key].message
    assert found[key].tip


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": {"instance_type": "ml.c7g.xlarge"}, "container": OWN_IMAGE},
        {
            "endpoint": {"instance_type": "ml.g7e.2xlarge"},
            "container": OWN_IMAGE,
            "metrics": {"scrape_container": True},
        },
        {"endpoint": {"instance_type": "ml.t2.xlarge"}, "scaling": {"enabled": False}},
        {"endpoint": {"volume_size_gb": 100}},
        {"network": {"subnets": SUBNETS, "security_groups": GROUPS, "isolation": False}},
        {"scaling": {"metric": "invocations", "target": 300.0}},
        {"settings": {"RERANK_TOKEN_BUDGET": 4096, "RERANK_LOG_TEXT": True, "RERANK_DEADLINE_SECONDS": 30.5}},
        {"rollout": {"alarms": [], "wait_seconds": 0}},
    ],
)
def test_what_goes_together_is_accepted(changes: dict[str, dict[str, Any]]) -> None:
    """The rules refuse contradictions only."""
    assert "sandbox" == validate("sandbox", **changes).name


@pytest.mark.parametrize(
    "rollout",
    [
        {"kind": "canary", "step_percent": 50},
        {"kind": "canary", "step_percent": 10, "termination_wait_seconds": 600},
        {"kind": "linear", "step_percent": 25},
        {"kind": "rolling", "step_percent": 10},
    ],
)
def test_a_fleet_of_two_takes_every_rollout_in_steps(rollout: dict[str, Any]) -> None:
    """Production's two instances are enough for canary, linear and rolling updates."""
    assert rollout["kind"] == validate("production", rollout=rollout).rollout.kind


def test_one_instance_at_a_time_fits_a_narrow_fleet() -> None:
    """A step counted in instances stays within SageMaker's 5..50 % from the smallest to the largest fleet."""
    content = tables("production", {"scaling": {"max_instances": 6}, "rollout": {"step_instances": 1}})
    del content["rollout"]["step_percent"]

    assert 1 == loading.validate(content, source="production.toml").rollout.step_instances
