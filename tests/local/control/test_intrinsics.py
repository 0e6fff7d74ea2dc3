"""Intrinsic functions, resolved without any AWS."""

from collections.abc import Mapping
from typing import Any

import pytest

from rerank_local.control.errors import TemplateError, Unsupported
from rerank_local.control.intrinsics import NO_VALUE, holds, resolve


class World:
    """A scope with a little of everything."""

    region = "us-east-1"

    def ref(self, name: str) -> Any:
        return {"AWS::NoValue": NO_VALUE, "Name": "reranker", "Ports": ["80", "443"], "Bucket": "my-bucket"}[name]

    def attribute(self, name: str, attribute: str) -> Any:
        return f"{name}/{attribute}"

    def condition(self, name: str) -> bool:
        return {"Yes": True, "No": False}[name]

    def mapping(self, name: str) -> Mapping[str, Any]:
        return {"us-east-1": {"account": "763104351884"}}

    def exported(self, name: str) -> str:
        return f"<{name}>"

    def parameter_store(self, name: str) -> str:
        return f"value of {name}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "reranker"),
        ({"Fn::GetAtt": ["Endpoint", "EndpointName"]}, "Endpoint/EndpointName"),
        ({"Fn::GetAtt": "Endpoint.EndpointName"}, "Endpoint/EndpointName"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, 3]]}, "a-reranker-3"),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::Select": ["1", {"Ref": "Ports"}]}, "443"),
        ({"Fn::Sub": "${Name}:${Endpoint.Arn}:${!Literal}"}, "reranker:Endpoint/Arn:${Literal}"),
        ({"Fn::Sub": ["${Name}/${key}", {"key": {"Ref": "Bucket"}}]}, "reranker/my-bucket"),
        ({"Fn::If": ["Yes", "then", "else"]}, "then"),
        ({"Fn::If": ["No", "then", {"Ref": "Name"}]}, "reranker"),
        ({"Fn::FindInMap": ["Images", "us-east-1", "account"]}, "763104351884"),
        ({"Fn::FindInMap": ["Images", "eu-west-1", "account", {"DefaultValue": "none"}]}, "none"),
        ({"Fn::ImportValue": {"Fn::Sub": "${Name}:Key"}}, "<reranker:Key>"),
        ({"Fn::GetAZs": ""}, ["us-east-1a", "us-east-1b", "us-east-1c"]),
        ({"Fn::Base64": "hello"}, "aGVsbG8="),
        ({"Fn::ToJsonString": {"a": {"Ref": "Name"}}}, '{"a":"reranker"}'),
        ({"Fn::Length": {"Ref": "Ports"}}, 2),
        ("{{resolve:ssm:/rerank/name:3}}", "value of /rerank/name"),
    ],
)
def test_each_function_gives_what_aws_documents(value: Any, expected: Any) -> None:
    """Every intrinsic the stacks may use resolves as documented."""

    assert expected == resolve(value, World())


def test_no_value_leaves_its_key_and_item_out() -> None:
    """AWS::NoValue removes what holds it, at any depth."""
    value = {
        "a": {"Ref": "AWS::NoValue"},
        "b": [1, {"Ref": "AWS::NoValue"}],
        "c": {"d": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}},
    }

    assert {"b": [1], "c": {}} == resolve(value, World())


def test_an_iam_condition_is_not_an_intrinsic() -> None:
    """`Condition` inside a policy is data."""
    policy = {"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}

    assert policy == resolve(policy, World())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Condition": "Yes"}, True),
        ({"Fn::Equals": [{"Ref": "Name"}, "reranker"]}, True),
        ({"Fn::Equals": [True, "true"]}, True),
        ({"Fn::Not": [{"Condition": "Yes"}]}, False),
        ({"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]}, False),
        ({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]}, True),
        ({"Fn::Contains": [["1", "2"], 2]}, True),
    ],
)
def test_conditions_are_evaluated(value: Any, expected: bool) -> None:
    """Conditions and rules come out true or false."""

    assert expected is holds(value, World())


def test_an_unknown_function_is_refused() -> None:
    """What cannot be carried out is an error, not a value."""
    with pytest.raises(Unsupported, match="Fn::Cidr"):
        resolve({"a": {"Fn::Cidr": ["10.0.0.0/16", 1, 8]}}, World())


def test_a_secret_reference_is_refused() -> None:
    """Dynamic references other than plain SSM are refused."""
    with pytest.raises(Unsupported, match="secretsmanager"):
        resolve("{{resolve:secretsmanager:token}}", World())


def test_selecting_past_the_end_is_an_error() -> None:
    """Fn::Select checks its index."""
    with pytest.raises(TemplateError, match="index 5"):
        resolve({"Fn::Select": [5, ["a"]]}, World())
