"""Which AWS a command talks to, and what it says while it waits."""

from argparse import ArgumentParser
from pathlib import Path

import pytest
from moto import mock_aws

from rerank_local.errors import LocalError
from rerank_ops.aws import Aws, aws_options, deployment_parameters, parameter
from rerank_ops.errors import NotFound
from rerank_ops.progress import HEARTBEAT_S, lines, step

LOCAL = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4510",
    "AWS_ACCESS_KEY_ID": "local-key",
    "AWS_SECRET_ACCESS_KEY": "local-secret",
    "AWS_REGION": "eu-west-1",
}


@pytest.fixture
def users_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose shell points at a real account."""
    (tmp_path / "config").write_text("[profile work]\nregion = ap-south-1\nendpoint_url = http://127.0.0.1:1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-secret")
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def test_local_takes_nothing_from_the_users_shell(users_profile: None) -> None:
    """Neither keys nor profile nor region nor endpoint: a local command cannot reach an account by accident."""
    client = Aws(local_env=LOCAL).client("s3")
    credentials = client._request_signer._credentials

    assert ("http://127.0.0.1:4510", "eu-west-1", "local-key") == (
        client.meta.endpoint_url,
        client.meta.region_name,
        credentials.access_key,
    )


def test_without_local_the_users_shell_decides(users_profile: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profile, then AWS_ENDPOINT_URL: as every boto3 program."""
    assert Aws().client("sqs").meta.region_name == "ap-south-1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4510")
    client = Aws(region="eu-west-1").client("sqs")

    assert ("http://127.0.0.1:4510", "eu-west-1") == (client.meta.endpoint_url, client.meta.region_name)
    assert Aws().local


def test_the_runtime_is_outwaited() -> None:
    """SageMaker answers within 60 s; a client that gives up at 60 sees its own error instead."""
    config = Aws(local_env=LOCAL).client("sagemaker-runtime").meta.config

    assert config.read_timeout == 70


def test_requests_to_an_endpoint_are_repeated_by_the_client_alone() -> None:
    """boto3's standard retries would send a request again after a read timeout, four times for each of the client's."""
    retries = Aws(local_env=LOCAL).client("sagemaker-runtime").meta.config.retries

    assert 1 == retries["total_max_attempts"]


def test_local_without_a_local_aws_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder where none runs."""
    monkeypatch.setenv("LOCAL_AWS_HOME", str(tmp_path))
    parser = ArgumentParser()
    aws_options(parser)
    with pytest.raises(LocalError, match="No local AWS is running") as caught:
        Aws.from_args(parser.parse_args(["--local"]))

    assert "rerank local up" in str(caught.value.tip)


def test_parameters_of_a_deployment_are_read_by_their_short_names() -> None:
    """Nested names and other deployments stay apart."""
    with mock_aws():
        aws = Aws(region="us-east-1", local_env={})
        ssm = aws.client("ssm")
        for name, value in {"/rerank/a/endpoint-name": "e", "/rerank/ab/endpoint-name": "other"}.items():
            ssm.put_parameter(Name=name, Value=value, Type="String")

        assert {"endpoint-name": "e"} == deployment_parameters(aws, "a")
        with pytest.raises(NotFound, match="No deployment 'b' in region us-east-1"):
            deployment_parameters(aws, "b")
    with pytest.raises(NotFound, match="/rerank/a/kms-key-arn"):
        parameter({}, "a", "kms-key-arn")


def test_without_a_terminal_progress_is_a_line_per_change_and_a_heartbeat() -> None:
    """Not one line per poll: a log of an hour stays readable, and shows life."""
    now, said = [0.0], []
    report = lines("job", write=said.append, clock=lambda: now[0])
    for seconds, fraction, note in (
        (0, None, "Starting"),
        (1, None, "Starting"),
        (2, 0.5, "InProgress"),
        (3, 0.5, "InProgress"),
        (3 + HEARTBEAT_S, 0.5, "InProgress"),
    ):
        now[0] = float(seconds)
        report(fraction, note)

    assert ["Starting", "50% InProgress", "50% InProgress"] == [line.split("s  ")[1].strip() for line in said]


def test_a_step_is_announced_and_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """The seconds are kept for the closing table."""
    seconds: dict[str, float] = {}
    with step("package", seconds):
        pass

    assert "── package\n" in capsys.readouterr().err
    assert ["package"] == list(seconds)


@pytest.fixture
def deployments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of deployments: one names a region, one does not, one is no TOML."""
    (tmp_path / "abroad.toml").write_text('name = "abroad"\nregion = "sa-east-1"\n')
    (tmp_path / "home.toml").write_text('name = "home"\n')
    (tmp_path / "broken.toml").write_text("name = ")
    monkeypatch.setattr("rerank_ops.aws.DEPLOYMENTS", tmp_path)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "region", "source"),
    [
        (["--deployment", "home"], "eu-west-1", "AWS_REGION"),
        (["--deployment", "abroad"], "sa-east-1", "infra/deployments/abroad.toml"),
        (["--deployment", "abroad", "--region", "eu-west-3"], "eu-west-3", "--region"),
        (["--deployment", "broken"], "eu-west-1", "AWS_REGION"),
        (["--deployment", "not-in-this-checkout"], "eu-west-1", "AWS_REGION"),
        (["--endpoint", "e"], "eu-west-1", "AWS_REGION"),
    ],
)
def test_a_deployment_is_called_in_the_region_it_is_deployed_to(
    deployments: Path, arguments: list[str], region: str, source: str
) -> None:
    """The CDK takes the file's region before the environment's, so the commands do; a flag goes before both."""
    parser = ArgumentParser()
    parser.add_argument("--deployment", default="abroad")
    parser.add_argument("--endpoint")
    aws_options(parser)
    aws = Aws.from_args(parser.parse_args(arguments))

    assert (region, source) == (aws.region_in_force().value, aws.region_in_force().source)
    assert region == aws.client("sqs").meta.region_name


def test_a_region_that_nobody_names_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CDK deploys into us-east-1 then: the command calls there, and says so."""
    for name in ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    aws = Aws()
    regions = {aws.client(service).meta.region_name for service in ("sqs", "sts")}

    assert {"us-east-1"} == regions
    assert 1 == capsys.readouterr().err.count("No AWS region is set: us-east-1 is taken, as the CDK does.")
