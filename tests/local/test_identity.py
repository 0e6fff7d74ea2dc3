"""A local AWS answers those who mean it: keys name the home of the local AWS they are for."""

import http.client
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rerank_local.identity import key_id, signed_with
from rerank_local.server import LocalServer
from rerank_local.state import HEALTH_PATH, Home
from rerank_ops.aws import Aws

OTHER = Path("/another/project/.rerank/local")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    found = LocalServer(Home(tmp_path_factory.mktemp("it's local")), 0)
    thread = threading.Thread(target=found.serve)
    thread.start()
    yield found
    reset = urllib.request.Request(f"{found.url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=30).close()  # moto's state is the process's
    found.shutdown()
    thread.join(timeout=60)


def client(server: LocalServer, service: str, key: str, token: str | None = None) -> Any:
    session = boto3.session.Session(key, "secret", token, region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={})
    return session.client(service, endpoint_url=server.url, config=config)


CALLS = {
    "sts": (lambda it: it.get_caller_identity(), "InvalidClientTokenId"),
    "cloudformation": (lambda it: it.describe_stacks(), "InvalidClientTokenId"),
    "ec2": (lambda it: it.describe_vpcs(), "InvalidClientTokenId"),
    "ssm": (lambda it: it.get_parameters_by_path(Path="/rerank/"), "UnrecognizedClientException"),
    "sagemaker": (lambda it: it.list_endpoints(), "UnrecognizedClientException"),
    "cloudwatch": (lambda it: it.list_metrics(), "UnrecognizedClientException"),
    "s3": (lambda it: it.list_buckets(), "InvalidAccessKeyId"),
    "sagemaker-runtime": (
        lambda it: it.invoke_endpoint(EndpointName="e", Body=b"{}"),
        "UnrecognizedClientException",
    ),
}


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("key", [key_id(OTHER), "testing"])
def test_a_request_with_the_key_of_another_is_refused_in_awss_words(
    server: LocalServer, service: str, key: str
) -> None:
    """Control and data plane, each protocol: the error says whose AWS this is and what to run."""
    call, code = CALLS[service]
    with pytest.raises(ClientError) as caught:
        call(client(server, service, key))

    error = caught.value.response["Error"]
    assert code == error["Code"]
    assert f"is the local AWS of {server.home.folder}" in error["Message"]
    assert ("of another local AWS" in error["Message"]) is (key != "testing")
    assert 'eval "$(rerank local env --home ' in error["Message"]


def test_the_cdk_cli_is_told_at_its_second_question(server: LocalServer) -> None:
    """It swallows the refusal of GetCallerIdentity and shows that of any other call: the first is answered."""
    session = boto3.session.Session(key_id(OTHER), "secret", region_name="us-east-1")
    sts = session.client("sts", endpoint_url=server.url, config=Config(user_agent_extra="aws-cdk", proxies={}))
    account = sts.get_caller_identity()["Account"]
    with pytest.raises(ClientError, match="is the local AWS of"):
        sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/deploy", RoleSessionName="cdk")

    assert "123456789012" == account


def test_a_refused_request_changes_nothing(server: LocalServer) -> None:
    """The bucket is not made; its owner makes it."""
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        client(server, "s3", key_id(OTHER)).create_bucket(Bucket="models")
    own = client(server, "s3", server.key_id)
    before = own.list_buckets()["Buckets"]
    own.create_bucket(Bucket="models")

    assert [] == before
    assert ["models"] == [bucket["Name"] for bucket in own.list_buckets()["Buckets"]]


def test_a_refused_upload_gets_its_answer(server: LocalServer) -> None:
    """Its body is not read, and neither resets the connection nor is taken for the next request."""
    header = {"Authorization": f"AWS4-HMAC-SHA256 Credential={key_id(OTHER)}/20260101/us-east-1/s3/aws4_request"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    found = []
    for method, path, body in (("PUT", "/models/key", b"x" * 1_000_000), ("HEAD", "/models", b""), ("GET", "/", b"")):
        connection.request(method, path, body=body, headers=header)
        reply = connection.getresponse()
        found.append((reply.status, b"InvalidAccessKeyId" in reply.read()))
    connection.request("GET", HEALTH_PATH)
    found.append((connection.getresponse().status, False))
    connection.close()

    assert [(403, True), (403, False), (403, True), (200, False)] == found


def test_keys_that_this_aws_issued_are_its_own(server: LocalServer) -> None:
    """The CDK CLI signs with those of the roles it assumes."""
    sts, iam = client(server, "sts", server.key_id), client(server, "iam", server.key_id)
    iam.create_user(UserName="somebody")
    role = "arn:aws:iam::123456789012:role/deploy"
    issued = [
        sts.assume_role(RoleArn=role, RoleSessionName="cdk")["Credentials"],
        sts.get_session_token()["Credentials"],
        sts.get_federation_token(Name="somebody")["Credentials"],
        iam.create_access_key(UserName="somebody")["AccessKey"],
    ]
    keys = [item["AccessKeyId"] for item in issued]

    assert 4 == len(set(keys))
    for key in keys:
        assert client(server, "sts", key).get_caller_identity()["Account"]


def test_presigned_urls_are_held_to_the_same(server: LocalServer) -> None:
    """The key stands in the query then, of either version of the signature."""
    own = client(server, "s3", server.key_id)
    own.create_bucket(Bucket="shared")
    own.put_object(Bucket="shared", Key="k", Body=b"content")
    where = {"Bucket": "shared", "Key": "k"}
    with urllib.request.urlopen(own.generate_presigned_url("get_object", Params=where), timeout=10) as reply:
        content = reply.read()
    foreign = client(server, "s3", key_id(OTHER)).generate_presigned_url("get_object", Params=where)
    second = f"{server.url}/shared/k?AWSAccessKeyId={key_id(OTHER)}&Signature=x&Expires=99999999999"

    assert b"content" == content
    for url in (foreign, second):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, timeout=10)
        assert 403 == caught.value.code
        assert b"InvalidAccessKeyId" in caught.value.read()


def test_requests_without_a_signature_pass(server: LocalServer) -> None:
    """They name no AWS: health, and what curl asks; the data plane answers them itself."""
    request = urllib.request.Request(f"{server.url}/endpoints/nobody/invocations", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)

    assert b"Endpoint nobody" in caught.value.read()


def test_the_environment_of_a_local_aws_is_accepted_by_it(server: LocalServer) -> None:
    """What --local and `rerank local env` give signs with this home's key."""
    assert [] == Aws(local_env=server.describe().env()).client("sagemaker").list_endpoints()["Endpoints"]


def test_a_key_names_a_home(tmp_path: Path) -> None:
    """The same after a restart, another for another folder, of the shape that moto and scanners expect."""
    own = key_id(tmp_path)

    assert own == key_id(Path(str(tmp_path)))
    assert own != key_id(tmp_path / "x")
    assert re.fullmatch("RERANKLOCAL[A-Z2-7]{9}", own)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/s3/aws4_request, SignedHeaders=a, Signature=b", "KEY"),
        ("AWS4-ECDSA-P256-SHA256 SignedHeaders=a, Credential=KEY/20260101/s3/aws4_request, Signature=b", "KEY"),
        ("AWS KEY:signature", "KEY"),
        ("Bearer token", None),
        ("", None),
    ],
)
def test_the_key_is_read_from_each_kind_of_signature(header: str, key: str | None) -> None:
    """Signature versions 4, 4a and 2; a token of another kind is none."""
    assert key == signed_with({"HTTP_AUTHORIZATION": header, "QUERY_STRING": ""})
