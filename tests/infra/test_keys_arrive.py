"""Every key of a deployment's file does something: another value makes another assembly."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rerank_infra import keys

ROOT = Path(__file__).parents[2]
ARN = "arn:aws:kms:us-east-1:123456789012:key/12345678-90ab-cdef-1234-567890abcdef"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/rerank"
NIGHT = {"name": "night", "at": "rate(1 day)", "min_instances": 1, "max_instances": 2}
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
VPC = {"subnets": SUBNETS, "security_groups": ["sg-0123456789abcdef0"]}
FOUR = {"endpoint": {"initial_instance_count": 4}, "scaling": {"min_instances": 4}}

# What another key needs to be there before a value of its own can arrive: name → deployment, changes.
BASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sandbox": ("sandbox", {}),
    "production": ("production", {}),
    "two instances": ("sandbox", {"endpoint": {"initial_instance_count": 2}}),
    "own image": ("sandbox", {"container": {"image": f"{IMAGE}:1"}}),
    "schedule": ("sandbox", {"scaling": {"schedules": [NIGHT]}}),
    "canary": ("production", {"rollout": {"kind": "canary"}}),
    "steps": ("production", FOUR | {"rollout": {"step_percent": None, "step_instances": 1}}),
    "vpc": ("sandbox", {"network": VPC}),
    "captured": ("sandbox", {"data_capture": {"enabled": True}}),
}
# key → base, another value
OTHERS: dict[str, tuple[str, Any]] = {
    "name": ("sandbox", "another"),
    "account": ("sandbox", "111122223333"),
    "region": ("sandbox", "eu-central-1"),
    "endpoint.name": ("sandbox", "Search"),
    "endpoint.instance_type": ("sandbox", "ml.c7i.2xlarge"),
    "endpoint.allow_unlisted_instance_type": ("sandbox", True),
    "endpoint.initial_instance_count": ("sandbox", 2),
    "endpoint.startup_timeout_seconds": ("sandbox", 700),
    "endpoint.download_timeout_seconds": ("sandbox", 700),
    "endpoint.inference_ami_version": ("production", "al2-ami-sagemaker-inference-gpu-2-1"),
    "endpoint.volume_size_gb": ("sandbox", 50),
    "batch.instance_type": ("sandbox", "ml.c7i.2xlarge"),
    "batch.max_payload_mb": ("sandbox", 7),
    "batch.max_concurrent": ("sandbox", 2),
    "batch.timeout_seconds": ("sandbox", 700),
    "batch.keep_days": ("sandbox", 91),
    "bundle.path": ("sandbox", "dist/another.tar.gz"),
    "bundle.kms_key_arn": ("sandbox", ARN),
    "container.image": ("own image", f"{IMAGE}:2"),
    "settings": ("sandbox", {"RERANK_MAX_DOCUMENTS": 500}),
    "scaling.enabled": ("sandbox", False),
    "scaling.min_instances": ("two instances", 2),
    "scaling.max_instances": ("sandbox", 3),
    "scaling.metric": ("sandbox", "invocations"),
    "scaling.target": ("sandbox", 3.0),
    "scaling.scale_in_cooldown_seconds": ("sandbox", 301),
    "scaling.scale_out_cooldown_seconds": ("sandbox", 61),
    "scaling.schedules[].name": ("schedule", "evening"),
    "scaling.schedules[].at": ("schedule", "rate(2 days)"),
    "scaling.schedules[].timezone": ("schedule", "Europe/Berlin"),
    "scaling.schedules[].min_instances": ("schedule", 2),
    "scaling.schedules[].max_instances": ("schedule", 3),
    "rollout.kind": ("production", "linear"),
    "rollout.step_percent": ("production", 25),
    "rollout.step_instances": ("steps", 2),
    "rollout.wait_seconds": ("production", 301),
    "rollout.termination_wait_seconds": ("canary", 60),
    "rollout.max_execution_timeout_seconds": ("production", 7201),
    "rollout.alarms": ("production", ["errors_5xx"]),
    "network.isolation": ("sandbox", False),
    "network.subnets": ("vpc", [*SUBNETS, "subnet-0123456789abcdef2"]),
    "network.security_groups": ("vpc", ["sg-0123456789abcdef1"]),
    "alarms.email": ("sandbox", "oncall@example.com"),
    "alarms.topic_arn": ("sandbox", "arn:aws:sns:us-east-1:123456789012:oncall"),
    "alarms.evaluation_minutes": ("sandbox", 1),
    "alarms.errors_5xx_per_minute": ("sandbox", 2),
    "alarms.errors_4xx_percent": ("sandbox", 26.0),
    "alarms.errors_4xx_least_requests": ("sandbox", 21),
    "alarms.latency_p99_ms": ("sandbox", 2001),
    "alarms.overhead_p99_ms": ("sandbox", 501),
    "alarms.gpu_memory_percent": ("production", 91.0),
    "metrics.enhanced": ("sandbox", True),
    "metrics.publish_every_seconds": ("sandbox", 30),
    "metrics.scrape_container": ("own image", True),
    "data_capture.enabled": ("sandbox", True),
    "data_capture.sampling_percent": ("captured", 50),
    "data_capture.keep_days": ("sandbox", 31),
    "training.enabled": ("sandbox", False),
    "retention.removal": ("sandbox", "retain"),
    "retention.termination_protection": ("sandbox", True),
    "retention.log_days": ("sandbox", 14),
    "tags": ("sandbox", {"team": "search"}),
}
# Keys that let a value through and are nowhere in the assembly themselves: key → the value let through.
PERMISSIONS = {"batch.allow_unlisted_instance_type": {"instance_type": "ml.c9i.xlarge"}}

Assemble = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def assemble(
    tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[[str], Path], loaded: Callable[..., Any]
) -> Iterator[Assemble]:
    """What `cdk deploy` would read, for a deployment with changes; cdk-nag, which changes nothing, is left out."""
    import aws_cdk as cdk

    from rerank_infra import assembly

    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    quick: dict[str, Any] = {"builtin_cloud_formation_validation": False, "tree_metadata": False, "stack_traces": False}
    root = tmp_path_factory.mktemp("root")
    (root / "dist").mkdir()
    for name in ("model", "another"):
        (root / "dist" / f"{name}.tar.gz").write_bytes(make_bundle(name).read_bytes())

    def run(name: str, changes: dict[str, Any]) -> dict[str, Any]:
        outdir = tmp_path_factory.mktemp("cdk-out")
        app = cdk.App(outdir=str(outdir), context=context, **quick)
        patch.setattr(assembly.loading, "find", lambda *_: outdir)
        patch.setattr(assembly.loading, "load", lambda _: loaded(name, **changes))
        assembly.from_context(app, root=root)
        app.synth()
        return read(outdir)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cdk.Validations, "add_plugins", lambda *_: None)
        yield run


def read(outdir: Path) -> dict[str, Any]:
    """Templates, assets, acknowledged findings, and the stacks' own properties."""
    kinds = ("*.template.json", "*.assets.json")
    found = {path.name: json.loads(path.read_text()) for kind in kinds for path in outdir.glob(kind)}
    for path in outdir.glob("*.metadata.json"):
        entries = [entry for entries in json.loads(path.read_text()).values() for entry in entries]
        found[path.name] = [entry["data"] for entry in entries if entry["type"] == "aws:cdk:acknowledged-rules"]
    artifacts = json.loads((outdir / "manifest.json").read_text())["artifacts"]
    stacks = {name: item for name, item in artifacts.items() if item["type"] == "aws:cloudformation:stack"}
    return found | {name: (item["environment"], item["properties"]) for name, item in stacks.items()}


@pytest.fixture(scope="module")
def base(assemble: Assemble) -> Callable[[str], dict[str, Any]]:
    """The assembly of one of the bases, made once."""
    made: dict[str, dict[str, Any]] = {}

    def get(name: str) -> dict[str, Any]:
        if name not in made:
            made[name] = assemble(*BASES[name])
        return made[name]

    return get


def with_key(changes: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`changes` with the value of one key."""
    table, _, key = path.rpartition(".")
    if table.endswith("[]"):
        table, array = table.removesuffix("[]").split(".")
        (first,) = changes[table][array]
        return changes | {table: changes[table] | {array: [first | {key: value}]}}
    return changes | ({table: changes.get(table, {}) | {key: value}} if table else {key: value})


def test_every_key_has_another_value_here() -> None:
    """A new key of the models has to be given one, or this fails."""
    assert {key.path for key in keys.every()} == OTHERS.keys() | PERMISSIONS.keys()


@pytest.mark.parametrize("path", OTHERS)
def test_another_value_changes_the_assembly(
    assemble: Assemble, base: Callable[[str], dict[str, Any]], path: str
) -> None:
    """No key drops out in silence."""
    name, value = OTHERS[path]
    deployment, changes = BASES[name]

    assert base(name) != assemble(deployment, with_key(changes, path, value))


def test_nothing_but_a_key_changes_the_assembly(assemble: Assemble, base: Callable[[str], dict[str, Any]]) -> None:
    """The same deployment makes the same assembly, so that a difference comes from the key."""
    assert base("sandbox") == assemble(*BASES["sandbox"])


@pytest.mark.parametrize("path", PERMISSIONS)
def test_a_permission_lets_its_value_through(loaded: Callable[..., Any], path: str) -> None:
    """Without the key the value is refused, with it the value is in the deployment."""
    from rerank_infra.errors import ConfigError

    table, key = path.split(".")

    with pytest.raises(ConfigError, match=re.escape("sandbox.toml")):
        loaded("sandbox", **{table: PERMISSIONS[path]})
    deployment = loaded("sandbox", **{table: PERMISSIONS[path] | {key: True}})
    assert PERMISSIONS[path].items() <= getattr(deployment, table).model_dump().items()


@pytest.mark.parametrize("protected", [True, False])
def test_both_stacks_are_protected_from_deletion_where_the_file_says_so(assemble: Assemble, protected: bool) -> None:
    """termination_protection is CloudFormation's own switch on each stack; production has it."""
    assembled = assemble("production" if protected else "sandbox", {})
    stacks = [item[1]["terminationProtection"] for item in assembled.values() if isinstance(item, tuple)]

    assert [protected, protected] == stacks
