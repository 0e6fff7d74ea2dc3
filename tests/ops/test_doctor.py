"""rerank doctor: what it finds, and the remedy it names."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from rerank_infra.loading import load
from rerank_ops import cli
from rerank_ops.aws import Aws
from rerank_ops.checks import account, machine, target
from rerank_ops.checks.base import State
from rerank_ops.checks.deployment import read

REGION = "eu-central-1"
SANDBOX = Path(__file__).parents[2] / "infra" / "deployments" / "sandbox.toml"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """An empty account, of moto."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Aws(region=REGION)


class Answering(Aws):
    """An AWS of which one client answers from a list."""

    def client(self, service: str, **config: Any) -> Any:
        client = boto3.client(service, region_name=REGION)
        stubber = Stubber(client)
        for method, response in ANSWERS.get(service, []):
            if isinstance(response, str):
                stubber.add_client_error(method, response)
            else:
                stubber.add_response(method, response)
        stubber.activate()
        return client


ANSWERS: dict[str, list[tuple[str, Any]]] = {}


@pytest.fixture
def answering(aws: Aws) -> Iterator[Any]:
    def build(**answers: list[tuple[str, Any]]) -> Aws:
        ANSWERS.update({name.replace("_", "-"): listed for name, listed in answers.items()})
        return Answering(region=REGION)

    yield build
    ANSWERS.clear()


def quotas(value: float, name: str = "ml.g6.xlarge for endpoint usage") -> list[tuple[str, Any]]:
    return [("list_service_quotas", {"Quotas": [{"QuotaName": name, "Value": value}]})]


def test_this_machine_can_run_the_kit() -> None:
    """What the tests themselves need is found."""
    found = {finding.name: finding.state for finding in machine.findings()}

    assert State.OK == found["python"] == found["torch"] == found["packages"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.13.0+cpu", (2, 13, 0)), ("v22.11.0", (22, 11, 0)), ("2.1148.1 (build ab)", (2, 1148, 1)), ("none", ())],
)
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    """2.1148 is newer than 2.999, which text would deny."""
    assert numbers == machine.numbers(text)


def test_an_old_program_is_a_failure_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CDK CLI of 3.0.0's numbering trap: 2.9 is older than 2.1148."""
    tool = tmp_path / "oldtool"
    tool.write_text("#!/bin/sh\necho 2.9.0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    finding = machine.program("oldtool", ["--version"], (2, 1148, 0), "Update it.")

    assert (State.FAIL, "Update it.") == (finding.state, finding.remedy)
    assert finding.found.startswith("2.9.0")


def test_an_empty_account_is_told_to_bootstrap(aws: Aws) -> None:
    """Credentials work, the CDK's staging is missing, the scaling role will be made."""
    found = {finding.name: finding for finding in account.findings(aws, None, REGION)}

    assert State.OK == found["credentials"].state
    assert (State.FAIL, f"cdk bootstrap aws://ACCOUNT/{REGION}") == (
        found["bootstrap"].state,
        found["bootstrap"].remedy,
    )
    assert State.WARN == found["scaling role"].state
    assert account.SCALING_SERVICE in found["scaling role"].remedy


def test_a_bootstrapped_account_is_fine(aws: Aws) -> None:
    """The version of the bootstrap stack is read from SSM."""
    boto3.client("ssm", REGION).put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="21", Type="String")

    assert State.OK == account.bootstrap(aws, REGION).state


@pytest.mark.parametrize(("value", "state"), [(0.0, State.FAIL), (1.0, State.FAIL), (2.0, State.OK)])
def test_quota_is_held_against_what_the_deployment_may_grow_to(answering: Any, value: float, state: State) -> None:
    """A quota of one does not allow scaling to two."""
    finding = account.quota(answering(service_quotas=quotas(value)), "ml.g6.xlarge", "endpoint", 2)

    assert state == finding.state
    assert state is State.OK or "request an increase to 2" in finding.remedy


def test_endpoint_and_transform_quotas_are_different_numbers(answering: Any) -> None:
    """The name says which."""
    asked = answering(service_quotas=quotas(4.0))

    assert State.WARN == account.quota(asked, "ml.g6.xlarge", "transform job", 1).state


def test_forbidden_looks_are_a_warning_that_names_the_permission(answering: Any) -> None:
    """Not being allowed to look is not the same as not being there."""
    asked = answering(service_quotas=[("list_service_quotas", "AccessDeniedException")])
    finding = account.quota(asked, "ml.g6.xlarge", "endpoint", 1)

    assert State.WARN == finding.state
    assert "servicequotas:ListServiceQuotas" in finding.remedy


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"images": [{"repositoryName": "huggingface-pytorch-inference"}]}, State.OK),
        ({"images": [], "failures": [{"failureReason": "Requested image not found"}]}, State.FAIL),
    ],
)
def test_the_image_is_looked_up_in_awss_registry(answering: Any, answer: dict[str, Any], state: State) -> None:
    """By registry, repository and tag of the deployment's own region."""
    finding = account.image(answering(ecr=[("batch_get_image", answer)]), load(SANDBOX), REGION)

    assert state == finding.state
    assert f".dkr.ecr.{REGION}.amazonaws.com/huggingface-pytorch-inference:" in finding.found


def test_without_a_network_it_says_so(aws: Aws) -> None:
    """Nobody listens: a warning, not a crash."""
    offline = replace(aws, local_env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": REGION})
    finding = account.bootstrap(offline, REGION)

    assert State.WARN == finding.state
    assert "was not reached" in finding.found


def test_a_broken_deployment_file_is_named() -> None:
    """The rest is still checked."""
    finding, deployment = read("no-such-deployment")

    assert (State.FAIL, None) == (finding.state, deployment)
    assert "no-such-deployment" in finding.found


def test_without_region_and_credentials_it_is_json_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A fresh laptop: the account's checks are skipped, nothing is asked of any network."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    cli.main(["doctor", "--json"])
    found = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}

    assert "warn" == found["region"]["state"]
    assert "skip" == found["endpoint quota"]["state"] == found["image"]["state"]
    assert all(finding["remedy"] for finding in found.values() if finding["state"] == "fail")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A shell without variables of AWS, and no files."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AMAZON_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def findings_by_name(aws: Aws) -> dict[str, tuple[State, str]]:
    return {finding.name: (finding.state, finding.found) for finding in target.findings(aws)}


def test_profile_region_and_endpoint_are_told_with_their_origin(bare: pytest.MonkeyPatch) -> None:
    """The variable, file or flag that each came from."""
    nothing = findings_by_name(Aws())
    for name, value in {"AWS_PROFILE": "work", "AWS_REGION": REGION, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}.items():
        bare.setenv(name, value)
    variables = findings_by_name(Aws())
    flags = findings_by_name(Aws(region="eu-west-1", profile="mine", region_source="infra/deployments/x.toml"))
    local = findings_by_name(Aws(local_env={"AWS_ENDPOINT_URL": "http://127.0.0.1:2", "AWS_REGION": "eu-west-2"}))

    assert (State.OK, "default (nothing names one)") == nothing["profile"]
    assert (State.WARN, "us-east-1 (nothing names one); the CDK takes the same") == nothing["region"]
    assert (State.OK, "AWS (nothing names one)") == nothing["endpoint"]
    assert (State.OK, "work (AWS_PROFILE)") == variables["profile"]
    assert (State.OK, f"{REGION} (AWS_REGION)") == variables["region"]
    assert (State.OK, "http://127.0.0.1:1 (AWS_ENDPOINT_URL)") == variables["endpoint"]
    assert (State.OK, "mine (as given)") == flags["profile"]
    assert flags["region"][1].startswith("eu-west-1 (infra/deployments/x.toml)")
    assert (State.OK, "none (--local)") == local["profile"]
    assert (State.OK, "eu-west-2 (--local)") == local["region"]
    assert (State.OK, "http://127.0.0.1:2 (--local)") == local["endpoint"]


def test_what_other_programs_read_differently_is_worth_a_look(bare: pytest.MonkeyPatch) -> None:
    """Two regions, two profiles, one service that goes elsewhere, keys that go before the profile."""
    for name, value in {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_PROFILE": "a",
        "AWS_DEFAULT_PROFILE": "b",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "key",
    }.items():
        bare.setenv(name, value)
    found = findings_by_name(Aws())

    assert (State.WARN, f"{REGION} (AWS_REGION); AWS_DEFAULT_REGION says us-west-2") == found["region"]
    said = "a (AWS_PROFILE); keys come from AWS_ACCESS_KEY_ID; AWS_DEFAULT_PROFILE says b"
    assert (State.WARN, said) == found["profile"]
    assert State.WARN == found["endpoint"][0]
    assert "http://127.0.0.1:1 (AWS_ENDPOINT_URL_S3) for s3" in found["endpoint"][1]


def test_the_summary_says_what_was_not_checked_and_why(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing has to be mended only in what was looked at; --json has the reason of each check."""
    bare.setattr(machine, "findings", lambda: iter(()))
    code = cli.main(["doctor"])
    said = capsys.readouterr().err
    cli.main(["doctor", "--json"])
    skipped = [finding for finding in json.loads(capsys.readouterr().out) if finding["state"] == "skip"]

    names = ["bootstrap", "scaling role", "endpoint quota", "transform quota", "image"]
    assert 0 == code
    assert "Nothing has to be mended in what was checked.\n" in said
    assert f"Not checked: 5 ({', '.join(names)}), because: needs working credentials.\n" in said
    assert [(name, "needs working credentials") for name in names] == [(f["name"], f["found"]) for f in skipped]


def test_a_profile_that_is_not_there_is_a_finding(bare: pytest.MonkeyPatch) -> None:
    """And no end of the other checks: what needs credentials is skipped."""
    bare.setenv("AWS_PROFILE", "missing")
    found = list(account.findings(Aws(region=REGION), None, REGION))

    assert (State.FAIL, "The config profile (missing) could not be found") == (found[0].state, found[0].found)
    assert {State.SKIP} == {finding.state for finding in found[1:]}
