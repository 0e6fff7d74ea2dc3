"""Profile, region and endpoint by the CDK CLI's rule."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rerank_client import RerankClient, aws, metadata

KEYS = "aws_access_key_id = {0}\naws_secret_access_key = secret\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell without any variable of AWS, and a folder for both files, which are not there yet."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AMAZON_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr(metadata, "on_ec2", lambda: False)
    return tmp_path


def setting(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_variables_name_the_region_in_the_cdks_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION first, whatever AWS_DEFAULT_REGION says; an argument before all; an empty variable is none."""
    found = []
    for name in ("AMAZON_DEFAULT_REGION", "AWS_DEFAULT_REGION", "AMAZON_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, f"from-{name}")
        found.append(aws.region())
    monkeypatch.setenv("AWS_REGION", "")

    names = ["AMAZON_DEFAULT_REGION", "AWS_DEFAULT_REGION", "AMAZON_REGION", "AWS_REGION"]
    assert [aws.Setting(f"from-{name}", name) for name in names] == found
    assert "AMAZON_REGION" == aws.region().source
    assert aws.Setting("eu-west-3", aws.GIVEN) == aws.region("eu-west-3")


def test_files_name_the_region_where_no_variable_does(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile in the credentials file, then in the config file, then profile default in both; then us-east-1."""
    found = [aws.region(profile_name="work")]
    for file, section, name in (
        ("config", "default", "sa-east-1"),
        ("credentials", "default", "eu-north-1"),
        ("config", "profile work", "eu-west-1"),
        ("credentials", "work", "eu-west-2"),
    ):
        with (files / file).open("a") as lines:
            lines.write(f"[{section}]\nregion = {name}\n")
        found.append(aws.region(profile_name="work"))
    monkeypatch.setenv("AWS_PROFILE", "work")

    regions = ["us-east-1", "sa-east-1", "eu-north-1", "eu-west-1", "eu-west-2"]
    assert regions == [item.value for item in found]
    assert aws.NOTHING == found[0].source
    assert f"profile work in {files / 'credentials'}" == found[-1].source
    assert "eu-west-2" == aws.region().value


def test_aws_profile_goes_before_aws_default_profile(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    """Which boto3 alone would do the other way round: the session has the keys of AWS_PROFILE."""
    (files / "credentials").write_text("[a]\n" + KEYS.format("key-a") + "[b]\n" + KEYS.format("key-b"))
    setting(monkeypatch, AWS_DEFAULT_PROFILE="b")
    second = aws.profile(), aws.session().get_credentials().access_key
    setting(monkeypatch, AWS_PROFILE="a")
    first = aws.profile(), aws.session().get_credentials().access_key

    assert (aws.Setting("b", "AWS_DEFAULT_PROFILE"), "key-b") == second
    assert (aws.Setting("a", "AWS_PROFILE"), "key-a") == first
    assert "key-b" == aws.session(profile_name="b").get_credentials().access_key


def test_keys_in_the_environment_go_before_a_profile_that_was_not_given(
    monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    """As in the CDK CLI: AWS_PROFILE gives way to keys, --profile does not."""
    (files / "credentials").write_text("[a]\n" + KEYS.format("key-a"))
    setting(monkeypatch, AWS_PROFILE="a", AWS_ACCESS_KEY_ID="key-env", AWS_SECRET_ACCESS_KEY="secret")

    assert "key-env" == aws.session().get_credentials().access_key
    assert "key-a" == aws.session(profile_name="a").get_credentials().access_key


CONFIG = """
[profile work]
endpoint_url = http://127.0.0.1:1
services = mine
[profile plain]
endpoint_url = http://127.0.0.1:2
[profile careful]
endpoint_url = http://127.0.0.1:2
ignore_configured_endpoint_urls = true
[services mine]
sagemaker_runtime =
  endpoint_url = http://127.0.0.1:3
"""


@pytest.mark.parametrize(
    ("variables", "service", "source"),
    [
        ({}, "sagemaker-runtime", aws.NOTHING),
        ({"AWS_PROFILE": "plain"}, "ssm", "endpoint_url of profile plain"),
        ({"AWS_PROFILE": "work"}, "sagemaker-runtime", "services mine of profile work"),
        ({"AWS_PROFILE": "work"}, "sagemaker", "endpoint_url of profile work"),
        ({"AWS_PROFILE": "careful"}, "ssm", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true"),
        ({"AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://127.0.0.1:4"}, "sagemaker-runtime", "AWS_ENDPOINT_URL"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:4", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "http://127.0.0.1:5"},
            "sagemaker-runtime",
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
        ),
        (
            {"AWS_ENDPOINT_URL_SERVICE_QUOTAS": "http://127.0.0.1:5"},
            "service-quotas",
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:4", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "ssm",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is true",
        ),
    ],
)
def test_the_endpoint_told_is_the_one_boto3_calls(
    files: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], service: str, source: str
) -> None:
    """Service before all, variables before files, none when they are to be ignored; the source is named."""
    (files / "config").write_text(CONFIG)
    setting(monkeypatch, AWS_REGION="eu-west-1", **variables)
    found = aws.endpoint(service)
    called = aws.session().client(service, aws_access_key_id="k", aws_secret_access_key="s").meta.endpoint_url

    assert source == found.source
    assert called == found.value if found.value else called.endswith(".eu-west-1.amazonaws.com")


def test_the_client_calls_the_region_that_aws_region_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of AWS_DEFAULT_REGION, which boto3 alone would take; an argument goes before, then the session's."""
    import boto3

    setting(monkeypatch, AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="us-west-2")
    given = boto3.session.Session(region_name="sa-east-1")
    clients = (
        RerankClient("e"),
        RerankClient("e", region_name="ap-south-1"),
        RerankClient("e", session=given),
        RerankClient("e", session=given, region_name="ap-south-1"),
    )

    assert ["eu-west-1", "ap-south-1", "sa-east-1", "ap-south-1"] == [
        client._runtime().meta.region_name for client in clients
    ]


def test_a_region_that_nobody_names_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CDK deploys into us-east-1 then: the client calls there, and says so."""
    with pytest.warns(UserWarning, match=r"us-east-1 is taken, as the CDK does\. Set AWS_REGION"):
        runtime = RerankClient("e")._runtime()

    assert "us-east-1" == runtime.meta.region_name


class _Metadata(BaseHTTPRequestHandler):
    """The metadata service of an instance in eu-central-1: version 2, which wants a token."""

    seen: ClassVar[list[str]] = []

    def do_PUT(self) -> None:
        self._reply(b"token" if self.path == "/latest/api/token" else b"")

    def do_GET(self) -> None:
        fine = self.path == "/latest/dynamic/instance-identity/document"
        known = self.headers.get("X-aws-ec2-metadata-token") == "token"
        self._reply(json.dumps({"region": "eu-central-1"} if fine and known else {}).encode())

    def _reply(self, body: bytes) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that were asked for of the instance this program seems to run on."""
    _Metadata.seen.clear()
    with HTTPServer(("127.0.0.1", 0), _Metadata) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        setting(monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{server.server_address[1]}/")
        monkeypatch.setattr(metadata, "on_ec2", lambda: True)
        yield _Metadata.seen
        server.shutdown()
        thread.join()


def test_on_ec2_the_instance_names_the_region_last(instance: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After variables and files; nowhere else, and not where AWS_EC2_METADATA_DISABLED forbids it."""
    setting(monkeypatch, AWS_REGION="eu-west-1")
    named = aws.region(), list(instance)
    monkeypatch.delenv("AWS_REGION")
    on_instance = aws.region()
    asked = len(instance)
    setting(monkeypatch, AWS_EC2_METADATA_DISABLED="true")
    disabled = aws.region()
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setattr(metadata, "on_ec2", lambda: False)
    elsewhere = aws.region()

    assert (aws.Setting("eu-west-1", "AWS_REGION"), []) == named
    assert aws.Setting("eu-central-1", "the EC2 instance's metadata") == on_instance
    assert aws.Setting("us-east-1", aws.NOTHING) == disabled == elsewhere
    assert 2 == asked == len(instance)


def test_an_instance_is_told_by_its_board_or_hypervisor(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says neither is none, so that a laptop is not kept waiting."""
    monkeypatch.undo()
    monkeypatch.setattr(metadata, "BOARD", files / "board")
    monkeypatch.setattr(metadata, "HYPERVISOR", files / "uuid")
    found = [metadata.on_ec2()]
    for name, content in (("board", "Default string"), ("board", "i-0abc\n"), ("board", ""), ("uuid", "EC2ab\n")):
        (files / name).write_text(content)
        found.append(metadata.on_ec2())

    assert [False, False, True, False, True] == found
