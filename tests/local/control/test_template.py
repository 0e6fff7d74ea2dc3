"""Templates: parsed, ordered, and what a new one would change."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerank_local.control.errors import TemplateError
from rerank_local.control.preview import changes
from rerank_local.control.template import Template, creation_order, dependencies, parse


def template(resources: dict[str, Any], **sections: Any) -> Template:
    return parse(json.dumps({"Resources": resources, **sections}))


def queue(**extra: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", **extra}


def test_yaml_and_json_say_the_same() -> None:
    """Short forms in YAML are the long forms of JSON, and dates stay text."""
    text = """
    AWSTemplateFormatVersion: 2010-09-09
    Conditions: {Big: !Equals [!Ref Size, big]}
    Parameters: {Size: {Type: String}}
    Resources:
      A:
        Type: AWS::SQS::Queue
        Properties: {QueueName: !Sub "${AWS::StackName}-a"}
      B:
        Type: AWS::SQS::Queue
        Properties: {QueueName: !GetAtt A.QueueName, Tags: !If [Big, [{Key: a, Value: b}], !Ref AWS::NoValue]}
    """
    expected = template(
        {
            "A": queue(Properties={"QueueName": {"Fn::Sub": "${AWS::StackName}-a"}}),
            "B": queue(
                Properties={
                    "QueueName": {"Fn::GetAtt": ["A", "QueueName"]},
                    "Tags": {"Fn::If": ["Big", [{"Key": "a", "Value": "b"}], {"Ref": "AWS::NoValue"}]},
                }
            ),
        },
        Conditions={"Big": {"Fn::Equals": [{"Ref": "Size"}, "big"]}},
        Parameters={"Size": {"Type": "String"}},
    )

    assert parse(text).same_as(expected)


def test_cdk_metadata_is_left_out() -> None:
    """CDK's own usage record creates nothing."""
    found = template({"A": queue(), "CDKMetadata": {"Type": "AWS::CDK::Metadata"}})

    assert ["A"] == list(found.resources)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "At least one Resources member"),
        ('{"Resources": {"A": {"Type": "AWS::SQS::Queue"}}, "Fancy": 1}', "Fancy"),
        ('{"Resources": {"A": {}}}', "Resource A has no Type"),
        ('{"Transform": "AWS::Serverless", "Resources": {"A": {"Type": "AWS::SQS::Queue"}}}', "AWS::Serverless"),
        ('{"Resources": {"A": {"Type": "T", "Properties": {"x": {"Ref": "Nobody"}}}}}', r"\[Nobody\].*resource A"),
        ('{"Resources": {"A": {"Type": "T", "DependsOn": "B"}, "B": {"Type": "T", "DependsOn": "A"}}}', "Circular"),
        ("a: [", "Template format error"),
    ],
)
def test_what_cannot_be_deployed_is_said_first(body: str, message: str) -> None:
    """A template with a fault is refused with a text that names it."""
    with pytest.raises(TemplateError, match=message):
        parse(body)


def test_every_way_to_refer_counts() -> None:
    """Ref, GetAtt, Sub (with its own variables left out) and DependsOn are dependencies."""
    resource = queue(
        DependsOn=["D"],
        Properties={
            "a": {"Ref": "A"},
            "b": [{"Fn::GetAtt": ["B", "Arn"]}],
            "c": {"Fn::Sub": ["${C.Arn}/${own}/${!Literal}", {"own": {"Ref": "E"}}]},
        },
    )

    assert {"A", "B", "C", "D", "E"} == dependencies(resource)


@given(st.data())
def test_everything_comes_after_what_it_needs(data: st.DataObject) -> None:
    """Whatever the order in the text, the creation order respects every dependency and holds each resource once."""
    names = [f"R{index}" for index in range(data.draw(st.integers(1, 8)))]
    needs = {
        name: data.draw(st.sets(st.sampled_from(names[:index]))) if index else set() for index, name in enumerate(names)
    }
    shuffled = data.draw(st.permutations(names))
    found = template({name: queue(DependsOn=sorted(needs[name])) for name in shuffled})

    order = creation_order(found)

    assert sorted(names) == sorted(order)
    assert all(order.index(needed) < order.index(name) for name in names for needed in needs[name])


def test_a_change_is_told_with_everything_it_reaches() -> None:
    """A replaced model makes the config that refers to it a conditional replacement, and the endpoint a change."""
    before = template({**_chain("a"), "Old": queue()})
    after = template({**_chain("b"), "New": queue()})

    found = {item.logical_id: (item.action, item.replacement) for item in changes(before, after, set(), _replaces)}

    assert {
        "Model": ("Modify", "True"),
        "Config": ("Modify", "Conditional"),
        "Endpoint": ("Modify", "False"),
        "New": ("Add", None),
        "Old": ("Remove", None),
    } == found


def test_a_changed_parameter_reaches_what_refers_to_it() -> None:
    """Equal templates with another parameter value still change the resource that uses it."""
    same = template({"A": queue(Properties={"QueueName": {"Ref": "P"}})}, Parameters={"P": {"Type": "String"}})

    assert ["A"] == [item.logical_id for item in changes(same, same, {"P"}, lambda kind, name: False)]


def test_removals_come_last_and_in_reverse() -> None:
    """What goes is told in the reverse of the order it came."""
    found = changes(template({"A": queue(), "B": queue(), "C": queue()}), template({"C": queue()}), set(), _replaces)

    assert [("Remove", "B"), ("Remove", "A")] == [(item.action, item.logical_id) for item in found]


def _chain(url: str) -> dict[str, Any]:
    return {
        "Endpoint": {"Type": "E", "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "Name"]}}},
        "Config": {"Type": "C", "Properties": {"Model": {"Fn::GetAtt": ["Model", "Name"]}}},
        "Model": {"Type": "M", "Properties": {"Url": url}},
    }


def _replaces(kind: str, name: str) -> bool:
    return kind in ("M", "C")
