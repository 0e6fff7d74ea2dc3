"""`--local` reaches the local AWS and nothing else, whatever the user's shell and files say."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from rerank_local.cdk import environment
from rerank_local.identity import key_id
from rerank_local.state import LocalAws
from rerank_ops.aws import Aws

NOWHERE = "http://127.0.0.1:9"
# Everything that may stand in a profile and would send the call elsewhere, sign it otherwise, or make it fail.
PROFILE = f"""region = ap-south-1
endpoint_url = {NOWHERE}
use_fips_endpoint = true
ca_bundle = /nowhere.pem
sdk_ua_app_id = of-the-user
aws_access_key_id = real-key
aws_secret_access_key = real-secret
aws_session_token = real-token
"""
LEAKS = {
    "nothing": {},
    "profile": {"AWS_PROFILE": "work"},
    "default profile": {"AWS_DEFAULT_PROFILE": "work"},
    "a profile that is not there": {"AWS_PROFILE": "missing"},
    "config file": {"AWS_CONFIG_FILE": "{home}/default"},
    "credentials file": {"AWS_SHARED_CREDENTIALS_FILE": "{home}/default"},
    "files of the home folder": {"HOME": "{home}"},
    "keys": {"AWS_ACCESS_KEY_ID": "real-key", "AWS_SECRET_ACCESS_KEY": "real-secret"},
    "session token": {"AWS_SESSION_TOKEN": "real-token"},
    "region": {"AWS_REGION": "ap-south-1"},
    "default region": {"AWS_DEFAULT_REGION": "ap-south-1"},
    "endpoint": {"AWS_ENDPOINT_URL": NOWHERE},
    "endpoint of the service": {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": NOWHERE},
    "endpoints ignored": {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    "FIPS": {"AWS_USE_FIPS_ENDPOINT": "true"},
    "dual stack": {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
    "application": {"AWS_SDK_UA_APP_ID": "of-the-user"},
    "proxy": {"HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE, "NO_PROXY": "", "no_proxy": ""},
}


class _Local(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[LocalAws, list[dict[str, str]]]]:
    """A server in the place of a local AWS, and the headers of what reached it."""
    with HTTPServer(("127.0.0.1", 0), _Local) as server:
        server.seen = []  # type: ignore[attr-defined]
        port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield LocalAws(1, port, f"http://127.0.0.1:{port}", "", "eu-west-1", tmp_path), server.seen  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with both files, and a shell without variables of AWS."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AMAZON_"))]:
        monkeypatch.delenv(name)
    (tmp_path / ".aws").mkdir()
    (tmp_path / "default").write_text(f"[default]\n{PROFILE}")
    (tmp_path / ".aws" / "config").write_text(f"[default]\n{PROFILE}[profile work]\n{PROFILE}")
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n{PROFILE}[work]\n{PROFILE}")
    return tmp_path


@pytest.mark.parametrize("leak", LEAKS)
def test_nothing_of_the_users_gets_into_a_local_call(
    local: tuple[LocalAws, list[dict[str, str]]], home: Path, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    """It arrives, signed with the key, the token and the region of the local AWS."""
    for name, value in LEAKS[leak].items():
        monkeypatch.setenv(name, value.format(home=home))
    aws, seen = local
    Aws(local_env=aws.env()).client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"{}")

    (headers,) = seen
    scope = headers["authorization"].split("Credential=")[1].split(",")[0].split("/")
    assert (key_id(aws.home), "eu-west-1", "sagemaker") == (scope[0], scope[2], scope[3])
    assert "testing" == headers["x-amz-security-token"]
    assert "of-the-user" not in headers["user-agent"]


@pytest.mark.parametrize("leak", ["session token", "profile", "credentials file"])
def test_no_token_of_the_users_is_sent(
    local: tuple[LocalAws, list[dict[str, str]]], home: Path, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    """Nor where the local AWS gives none."""
    for name, value in LEAKS[leak].items():
        monkeypatch.setenv(name, value.format(home=home))
    aws, seen = local
    env = {name: value for name, value in aws.env().items() if name != "AWS_SESSION_TOKEN"}
    Aws(local_env=env).client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"{}")

    assert "x-amz-security-token" not in seen[0]


@pytest.mark.parametrize("leak", LEAKS)
def test_the_cdk_cli_and_the_app_see_nothing_of_the_users(
    local: tuple[LocalAws, list[dict[str, str]]], home: Path, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    """Every variable of AWS in their environment is one of the local AWS; this machine is not reached by proxy."""
    for name, value in LEAKS[leak].items():
        monkeypatch.setenv(name, value.format(home=home))
    found = environment(local[0])

    assert local[0].env() == {name: value for name, value in found.items() if name.startswith(("AWS_", "AMAZON_"))}
    assert {"127.0.0.1", "localhost"} <= set(found["NO_PROXY"].split(","))
    assert found["NO_PROXY"] == found["no_proxy"]
