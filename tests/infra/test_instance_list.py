"""An instance type that SageMaker does not have is an error, with the nearest names, before anything is made of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_infra import instance_list, loading
from rerank_infra.errors import ConfigError
from rerank_infra.instances import InstanceType, Kind
from rerank_ops.checks.base import State
from rerank_ops.checks.deployment import read

SANDBOX = (Path(__file__).parents[2] / "infra" / "deployments" / "sandbox.toml").read_text()


@pytest.mark.parametrize(
    ("shape", "listed"),
    [("ProductionVariantInstanceType", instance_list.ENDPOINT), ("TransformInstanceType", instance_list.TRANSFORM)],
)
def test_the_list_is_that_of_sagemakers_service_model(shape: str, listed: frozenset[str]) -> None:
    """Every name of the enumeration is on the list, and no other."""
    import botocore.session

    enum = botocore.session.get_session().get_service_model("sagemaker").shape_for(shape).enum

    assert set(enum) == listed


@pytest.mark.parametrize(
    ("table", "typo", "meant"),
    [
        ("endpoint", "ml.c7i.xlarg", "ml.c7i.xlarge"),
        ("endpoint", "ml.c7.xlarge", "ml.c7i.xlarge"),
        ("endpoint", "ml.g6.xxlarge", "ml.g6.xlarge"),
        ("endpoint", "ml.g5dn.xlarge", "ml.g4dn.xlarge"),
        ("batch", "ml.m5.lrage", "ml.m5.large"),
        ("batch", "ml.c7i.4large", "ml.c7i.4xlarge"),
    ],
)
def test_a_typo_is_told_the_nearest_names(loaded: Callable[..., Any], table: str, typo: str, meant: str) -> None:
    """The name meant is among those in the tip, and the key for a type that is newer than the list."""
    with pytest.raises(ConfigError) as caught:
        loaded("sandbox", **{table: {"instance_type": typo}})
    (problem,) = caught.value.problems

    assert (f"{table}.instance_type", typo) == (problem.key, problem.value)
    assert "SageMaker has no such instance type on the kit's list." == problem.message
    assert meant in problem.tip.split("?")[0]
    assert f"write {table}.allow_unlisted_instance_type = true" in problem.tip


def test_a_name_like_no_other_is_told_the_key_alone(loaded: Callable[..., Any]) -> None:
    """No name is suggested that has nothing to do with what was written."""
    with pytest.raises(ConfigError) as caught:
        loaded("sandbox", endpoint={"instance_type": "ml.zzz.qqq"})

    assert "Did you mean" not in caught.value.problems[0].tip


def test_batch_jobs_have_a_list_of_their_own(loaded: Callable[..., Any]) -> None:
    """A size that only endpoints have is refused for jobs."""
    with pytest.raises(ConfigError, match=r"sandbox\.toml") as caught:
        loaded("sandbox", batch={"instance_type": "ml.c5.large"})

    assert ["Batch transform does not offer it."] == [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ml.c9i.xlarge", Kind.CPU),
        ("ml.m9a.large", Kind.CPU),
        ("ml.r9g.large", Kind.GRAVITON),
        ("ml.c7i.64xlarge", Kind.CPU),
        ("ml.g6e.64xlarge", Kind.GPU),
        ("ml.g9.xlarge", Kind.UNSUPPORTED),
        ("ml.trn3.xlarge", Kind.UNSUPPORTED),
    ],
)
def test_a_newer_type_is_what_its_name_says(value: str, kind: Kind) -> None:
    """CPU families are named by a rule; what driver a new GPU needs is not known."""
    assert kind is InstanceType.parse(value).kind


def test_a_type_newer_than_the_list_is_taken_on_request(synthesize: Callable[..., Any]) -> None:
    """With the key it is deployed; the CDK's warning, which names all types there are, is answered beforehand."""
    newer = {"instance_type": "ml.c9i.xlarge", "allow_unlisted_instance_type": True}
    stacks = synthesize("sandbox", endpoint=newer, batch=newer)

    (variant,) = stacks.endpoint.only("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert "ml.c9i.xlarge" == variant["InstanceType"]
    assert '"ml.c9i.xlarge"' in json.dumps(stacks.endpoint.properties("AWS::SSM::Parameter"))
    assert "newer than the lists" in stacks.accepted["CloudFormation-Validate::W3030"]


def test_the_doctor_fails_a_typo(tmp_path: Path) -> None:
    """`rerank doctor` says what is wrong with the file and what to write."""
    path = tmp_path / "typo.toml"
    text = SANDBOX.replace('"sandbox"', '"typo"', 1).replace('"ml.c7i.xlarge"', '"ml.c7i.xlarg"', 1)
    path.write_text(text.replace("max_instances = 2", "max_instance = 2"))

    # The misspelt key comes first: rules look at files whose keys are known.
    first, _ = read(str(path))
    path.write_text(text)
    second, deployment = read(str(path))

    assert (State.FAIL, State.FAIL, None) == (first.state, second.state, deployment)
    assert "scaling.max_instance has value 2. No such key." in first.found
    assert "endpoint.instance_type has value 'ml.c7i.xlarg'." in second.found
    assert "Did you mean ml.c7i.xlarge" in second.remedy


def test_the_doctor_takes_a_file_from_elsewhere(tmp_path: Path) -> None:
    """A deployment outside the repository is named by its whole path."""
    path = tmp_path / "sandbox.toml"
    path.write_text(SANDBOX)

    finding, deployment = read(str(path))

    assert (State.OK, loading.load(path)) == (finding.state, deployment)
    assert finding.found.startswith(str(path))
