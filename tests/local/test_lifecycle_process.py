"""The local AWS as a process of its own: up, an endpoint on it, killed, cleaned up."""

import io
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from rerank_local import lifecycle
from rerank_local.errors import NotFound
from rerank_local.processes import is_running
from rerank_local.state import STATUS_PATH, Home, LocalAws

pytestmark = pytest.mark.e2e

SERVER = b"""
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"]))[::-1])
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path / "local")
    yield found
    lifecycle.down(found, say=print)


def bundle() -> bytes:
    """A model.tar.gz whose server answers every body backwards."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("code/serve.py")
        member.size = len(SERVER)
        archive.addfile(member, io.BytesIO(SERVER))
    return buffer.getvalue()


def client(local: LocalAws, service: str) -> Any:
    session = boto3.session.Session(local.env()["AWS_ACCESS_KEY_ID"], "testing", region_name=local.region)
    return session.client(service, endpoint_url=local.endpoint_url)


def settled(sagemaker: Any) -> dict[str, Any] | None:
    """Endpoint `e`, once it is no longer being created."""
    found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName="e")
    return None if found["EndpointStatus"] == "Creating" else found


def serve(local: LocalAws, until: Callable[..., Any]) -> None:
    """An endpoint `e`, in service."""
    s3, sagemaker = client(local, "s3"), client(local, "sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=bundle())
    container = {"Image": "image:1", "ModelDataUrl": "s3://models/model.tar.gz"}
    role = "arn:aws:iam::123456789012:role/reranker"
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "main", "ModelName": "m", "InstanceType": "ml.c7i.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    found = until(lambda: settled(sagemaker), "the endpoint is no longer being created")
    assert "InService" == found["EndpointStatus"], found.get("FailureReason")


def test_up_serves_once_and_down_takes_everything_along(home: Home, until: Callable[..., Any]) -> None:
    """A second `up` finds the first; an endpoint answers; `down` ends the server and the model process."""
    said: list[str] = []
    first = lifecycle.up(home, say=said.append, bootstrap=False)
    second = lifecycle.up(home, say=said.append, bootstrap=False)
    serve(first, until)
    answer = client(first, "sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"abc")
    ((variant,),) = (endpoint["variants"] for endpoint in first.get(STATUS_PATH)["endpoints"])

    assert first == second == LocalAws.load(home)
    assert "already up" in said[-1]
    assert b"cba" == answer["Body"].read()
    assert lifecycle.log_files(home, "e")
    assert lifecycle.down(home, say=said.append) is True
    assert not is_running(first.pid)
    assert not is_running(variant["pid"])
    assert lifecycle.down(home, say=said.append) is False
    with pytest.raises(NotFound):
        LocalAws.load(home)


def test_what_a_killed_server_leaves_behind_is_ended(home: Home, until: Callable[..., Any]) -> None:
    """After a crash of the server its model processes are ended, and the next `up` starts afresh."""
    local = lifecycle.up(home, say=print, bootstrap=False)
    serve(local, until)
    ((variant,),) = (endpoint["variants"] for endpoint in local.get(STATUS_PATH)["endpoints"])
    os.kill(local.pid, signal.SIGKILL)
    until(lambda: not is_running(local.pid), "the server has ended")
    outlived = is_running(variant["pid"])
    again = lifecycle.up(home, say=print, bootstrap=False)

    assert outlived
    assert not is_running(variant["pid"])
    assert local.pid != again.pid
    assert [] == client(again, "sagemaker").list_endpoints()["Endpoints"]
