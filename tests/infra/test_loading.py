"""From a TOML file to a deployment, and what is said about a file that is wrong."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from rerank_infra import loading
from rerank_infra.deployment import Deployment
from rerank_infra.errors import ConfigError

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = ROOT / "infra" / "deployments"
SANDBOX: dict[str, Any] = tomllib.loads((DEPLOYMENTS / "sandbox.toml").read_text())


def changed(table: str, **keys: Any) -> dict[str, Any]:
    if not table:
        return SANDBOX | keys
    return SANDBOX | {table: SANDBOX.get(table, {}) | keys}


@pytest.mark.parametrize("path", sorted(DEPLOYMENTS.glob("*.toml")), ids=lambda path: str(path.stem))
def test_the_files_of_the_repository_are_valid(path: Path) -> None:
    """Every deployment in infra/deployments loads."""
    assert path.stem == loading.load(path).name


def test_the_commented_schedules_of_production_are_valid() -> None:
    """The schedules shown as a comment in production.toml work once uncommented."""
    lines = (DEPLOYMENTS / "production.toml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line == "# [[scaling.schedules]]")
    stop = next(i for i, line in enumerate(lines) if line == "[rollout]")
    lines[start:stop] = [line.removeprefix("# ") for line in lines[start:stop]]
    deployment = loading.validate(tomllib.loads("\n".join(lines)), source="production.toml")

    assert ["evening", "morning"] == [schedule.name for schedule in deployment.scaling.schedules]


def test_a_deployment_cannot_be_changed() -> None:
    """What was validated stays as it was."""
    deployment = loading.load(DEPLOYMENTS / "sandbox.toml")

    with pytest.raises(ValueError, match="frozen"):
        deployment.scaling.max_instances = 9  # type: ignore[misc]


def test_an_unknown_deployment_lists_the_known_ones() -> None:
    """The tip names what could have been meant."""
    with pytest.raises(ConfigError, match="no deployment 'staging'") as caught:
        loading.find("staging", DEPLOYMENTS)

    assert "production, sandbox" in caught.value.tip


def test_a_copied_file_has_to_change_its_name(tmp_path: Path) -> None:
    """A copy that still bears the old name would update the old deployment, and is refused."""
    copy = tmp_path / "staging.toml"
    copy.write_text((DEPLOYMENTS / "sandbox.toml").read_text())

    with pytest.raises(ConfigError) as caught:
        loading.load(copy)

    assert [
        "ERROR staging.toml: name has value 'sandbox'. The file is called staging.toml.",
        'TIP Write name = "staging".',
    ] == list(caught.value.lines())


def test_a_file_that_is_not_toml_says_where(tmp_path: Path) -> None:
    """The parser's line and column reach the reader."""
    path = tmp_path / "broken.toml"
    path.write_text('name = "broken"\n[endpoint\n')

    with pytest.raises(ConfigError, match=r"broken\.toml is not a TOML file.*line 2"):
        loading.load(path)


@pytest.mark.parametrize(
    ("tables", "key", "message"),
    [
        (changed("endpoint", instance_type="g6.xlarge"), "endpoint.instance_type", "does not read ml.<family>.<size>"),
        (changed("endpoint", instance_count=2), "endpoint.instance_count", "No such key."),
        (changed("endpoint", startup_timeout_seconds=30), "endpoint.startup_timeout_seconds", "equal to 60"),
        (changed("endpoint", download_timeout_seconds=7200), "endpoint.download_timeout_seconds", "equal to 3600"),
        (
            changed("endpoint", initial_instance_count="2"),
            "endpoint.initial_instance_count",
            "a whole number from 1 to 1000, not a string",
        ),
        (changed("endpoint", initial_instance_count=0), "endpoint.initial_instance_count", "equal to 1"),
        (changed("endpoint", name="under_score"), "endpoint.name", "does not read as it should"),
        (changed("endpoint", volume_size_gb=1000), "endpoint.volume_size_gb", "equal to 512"),
        (changed("rollout", kind="big-bang"), "rollout.kind", "'rolling', 'canary', 'linear' or 'all-at-once'"),
        (changed("rollout", alarms=["cpu"]), "rollout.alarms[0]", "'errors_5xx', 'errors_4xx' or 'latency'"),
        (changed("rollout", wait_seconds=4000), "rollout.wait_seconds", "equal to 3600"),
        (changed("scaling", metric="cpu"), "scaling.metric", "'concurrency' or 'invocations'"),
        (changed("scaling", target=0.0), "scaling.target", "greater than 0"),
        (
            changed("scaling", schedules=[{"name": "a", "at": "rate(1 day)", "min_instances": 1}]),
            "scaling.schedules[0].max_instances",
            "It is required.",
        ),
        (
            changed("scaling", schedules=[{"name": "a", "at": "20:00", "min_instances": 1, "max_instances": 2}]),
            "scaling.schedules[0].at",
            "Write cron(",
        ),
        (changed("network", subnets=["vpc-1"]), "network.subnets[0]", "does not read as it should"),
        (changed("alarms", errors_4xx_percent=120.0), "alarms.errors_4xx_percent", "equal to 100"),
        (changed("alarms", email="nobody"), "alarms.email", "does not read as it should"),
        (changed("metrics", publish_every_seconds=15), "metrics.publish_every_seconds", "10, 30, 60"),
        (changed("batch", max_payload_mb=101), "batch.max_payload_mb", "equal to 100"),
        (changed("retention", log_days=8), "retention.log_days", "7, 14, 30"),
        (changed("retention", removal="delete"), "retention.removal", "'destroy' or 'retain'"),
        (changed("tags", **{"aws:owner": "me"}), "tags.aws:owner", "does not start with aws:"),
        (changed("", account="1234"), "account", "does not read as it should"),
        (changed("", region="Frankfurt"), "region", "does not read as it should"),
        (changed("", name="Sandbox!"), "name", "does not read as it should"),
        (changed("", autoscaling={}), "autoscaling", "No such key."),
        ({key: value for key, value in SANDBOX.items() if key != "endpoint"}, "endpoint", "It is required."),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_key(tables: dict[str, Any], key: str, message: str) -> None:
    """Types, bounds and names are checked, and the message starts with the key's path."""
    with pytest.raises(ConfigError) as caught:
        loading.validate(tables, source="sandbox.toml")
    (problem,) = caught.value.problems

    assert key == problem.key
    assert message in problem.message
    assert problem.tip


@pytest.mark.parametrize(
    ("tables", "tip"),
    [
        (changed("scaling", max_instance=3), "Did you mean max_instances?"),
        (
            changed("scaling", schedules=[{"cron": "x"}]),
            "Known here: at, max_instances, min_instances, name, timezone.",
        ),
        (changed("", endpoints={}), "Did you mean endpoint?"),
    ],
)
def test_an_unknown_key_gets_a_suggestion(tables: dict[str, Any], tip: str) -> None:
    """A misspelt key is told its likely meaning, or the keys there are."""
    with pytest.raises(ConfigError) as caught:
        loading.validate(tables, source="sandbox.toml")

    assert tip in [problem.tip for problem in caught.value.problems]


def test_every_problem_is_named_at_once() -> None:
    """One run is enough to learn all that is wrong."""
    tables = changed("scaling", min_instances="one", maximum=3)

    with pytest.raises(ConfigError) as caught:
        loading.validate(tables, source="sandbox.toml")

    assert {"scaling.min_instances", "scaling.maximum"} == {problem.key for problem in caught.value.problems}


def test_bounds_leave_a_whole_deployment() -> None:
    """What validates is a Deployment with every default filled in."""
    deployment = loading.validate(SANDBOX, source="sandbox.toml")

    assert isinstance(deployment, Deployment)
    assert ("rerank-sandbox", "concurrency") == (deployment.endpoint_name, deployment.scaling.metric)
