"""The server in this process: real HTTP on a free port, moto, our control plane and data plane behind it."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rerank_local import cdk
from rerank_local.errors import Refused
from rerank_local.server import LocalServer
from rerank_local.state import HEALTH_PATH, STATUS_PATH, Home, LocalAws


class Running:
    """A server and clients for it."""

    def __init__(self, server: LocalServer, until: Callable[..., Any]) -> None:
        self.server, self.url, self._until = server, server.url, until
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            session = boto3.session.Session(self.server.key_id, "testing", region_name="us-east-1")
            config = Config(retries={"total_max_attempts": 1})
            self._clients[service] = session.client(service, endpoint_url=self.url, config=config)
        return self._clients[service]

    def get(self, path: str, **headers: str) -> Any:
        with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=10) as reply:
            return json.load(reply)

    def settled(self, name: str) -> dict[str, Any]:
        """The stack, once nothing is in progress."""

        def look() -> dict[str, Any] | None:
            (stack,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else dict(stack)

        return dict(self._until(look, f"nothing is in progress in stack {name}"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, until: Callable[..., Any]) -> Iterator[Running]:
    server = LocalServer(Home(tmp_path_factory.mktemp("local")), 0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield Running(server, until)
    server.shutdown()
    thread.join(timeout=60)


@pytest.fixture(autouse=True)
def clean(running: Running) -> Iterator[None]:
    yield
    request = urllib.request.Request(f"{running.url}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def template(url: str) -> str:
    """A bucket over TLS only, a parameter that names it, and a model."""
    policy = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps(
        {
            "Resources": {
                "Bucket": {"Type": "AWS::S3::Bucket"},
                "Policy": {
                    "Type": "AWS::S3::BucketPolicy",
                    "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": [policy]}},
                },
                "Model": {
                    "Type": "AWS::SageMaker::Model",
                    "Properties": {
                        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/reranker",
                        "PrimaryContainer": {"Image": "image:1", "ModelDataUrl": url},
                    },
                },
                "Config": {
                    "Type": "AWS::SageMaker::EndpointConfig",
                    "Properties": {
                        "ProductionVariants": [
                            {
                                "VariantName": "main",
                                "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                                "InstanceType": "ml.c7i.xlarge",
                                "InitialInstanceCount": 1,
                            }
                        ]
                    },
                },
                "Endpoint": {
                    "Type": "AWS::SageMaker::Endpoint",
                    "Properties": {
                        "EndpointName": "e",
                        "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                    },
                },
            },
            "Outputs": {"Bucket": {"Value": {"Ref": "Bucket"}}},
        }
    )


def test_a_stack_that_cannot_start_its_model_fails_with_the_reason(running: Running) -> None:
    """Over HTTP, with the template in S3: the missing archive is the stack's reason, and everything is taken back."""
    s3 = running.client("s3")
    s3.create_bucket(Bucket="assets")
    s3.put_object(Bucket="assets", Key="t.json", Body=template("s3://assets/missing.tar.gz").encode())
    running.client("cloudformation").create_stack(StackName="stack", TemplateURL=f"{running.url}/assets/t.json")

    stack = running.settled("stack")

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "missing.tar.gz" in stack["StackStatusReason"]
    assert ["assets"] == [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        running.client("sagemaker").describe_endpoint(EndpointName="e")


def test_an_endpoint_is_creating_before_it_fails(running: Running, until: Callable[..., Any]) -> None:
    """The API answers at once; the outcome shows in the endpoint's status, with the reason."""
    sagemaker = running.client("sagemaker")
    container = {"Image": "image:1", "ModelDataUrl": "s3://nobody/missing.tar.gz"}
    role = "arn:aws:iam::123456789012:role/reranker"
    sagemaker.create_model(ModelName="a", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "main", "ModelName": "a", "InstanceType": "ml.c7i.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName="e")
        return None if found["EndpointStatus"] == "Creating" else found

    found = until(look, "the endpoint is no longer being created")
    assert "Failed" == found["EndpointStatus"]
    assert "missing.tar.gz" in found["FailureReason"]
    (listed,) = running.get(STATUS_PATH)["endpoints"]
    assert ("e", "Failed") == (listed["name"], listed["status"])


def test_a_reset_forgets_stacks_and_endpoints(running: Running) -> None:
    """moto's reset reaches our stacks and the data plane."""
    running.client("cloudformation").create_stack(
        StackName="stack", TemplateBody=json.dumps({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    )
    running.settled("stack")
    request = urllib.request.Request(f"{running.url}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=30).close()

    assert [] == running.client("cloudformation").describe_stacks()["Stacks"]
    assert [] == running.client("s3").list_buckets()["Buckets"]
    assert [] == running.get(STATUS_PATH)["endpoints"]


def test_an_unknown_endpoint_is_a_validation_error(running: Running) -> None:
    """InvokeEndpoint goes to the data plane, which does not know it."""
    with pytest.raises(ClientError) as caught:
        running.client("sagemaker-runtime").invoke_endpoint(EndpointName="nobody", Body=b"{}")

    assert "ValidationError" == caught.value.response["Error"]["Code"]


def test_a_deployments_buckets_are_emptied_before_it_goes(running: Running) -> None:
    """Every version goes, in the buckets of that deployment only; a protected stack stops it before."""
    local, s3, cloudformation = running.server.describe(), running.client("s3"), running.client("cloudformation")
    versioned = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    body = json.dumps({"Resources": {"Bucket": versioned}, "Outputs": {"Name": {"Value": {"Ref": "Bucket"}}}})
    for name in ("Rerank-a-Foundation", "Rerank-b-Foundation"):
        cloudformation.create_stack(StackName=name, TemplateBody=body)
    buckets = [running.settled(f"Rerank-{name}-Foundation")["Outputs"][0]["OutputValue"] for name in "ab"]
    for bucket in (*buckets, *buckets):
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    said: list[str] = []
    cdk.empty_buckets(local, "Rerank-a-", say=said.append)
    cloudformation.update_termination_protection(StackName="Rerank-b-Foundation", EnableTerminationProtection=True)

    assert [f"{buckets[0]}: 2 objects deleted"] == said
    assert [0, 2] == [len(s3.list_object_versions(Bucket=bucket).get("Versions", [])) for bucket in buckets]
    cdk.refuse_protected(local, "Rerank-a-")
    with pytest.raises(Refused, match="Rerank-b-Foundation is protected"):
        cdk.refuse_protected(local, "Rerank-b-")


@pytest.mark.parametrize("headers", [{"Origin": "https://example.com"}, {"Host": "evil.example.com"}])
def test_browsers_and_foreign_hosts_are_refused(running: Running, headers: dict[str, str]) -> None:
    """A web page can neither call this AWS nor reach it under a name of its own."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        running.get(HEALTH_PATH, **headers)

    assert 403 == caught.value.code


def test_health_says_which_server_it_is(running: Running, tmp_path: Path) -> None:
    """The record of another server at the same address is not taken for this one."""
    me = running.server.describe()
    other = LocalAws(me.pid, me.port, me.endpoint_url, me.started_at, me.region, tmp_path)

    assert me.is_alive()
    assert not other.is_alive()
