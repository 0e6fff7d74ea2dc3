"""Change sets and parameters, as the CDK CLI uses them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_local.control.errors import TemplateError
from rerank_local.control.parameters import settle
from rerank_local.control.template import parse
from rerank_local.control.template_url import bucket_and_key

BOOTSTRAP = {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/bootstrap/version"}}
RULES = {
    "Check": {
        "Assertions": [
            {
                "Assert": {"Fn::Not": [{"Fn::Contains": [["1", "2"], {"Ref": "BootstrapVersion"}]}]},
                "AssertDescription": "Please run cdk bootstrap.",
            }
        ]
    }
}


def template(value: Any, **sections: Any) -> str:
    resource = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/a", "Type": "String", "Value": value}}
    return json.dumps({"Resources": {"A": resource}, **sections})


def change(cloud: Any, body: str, kind: str, **options: Any) -> dict[str, Any]:
    """Makes a change set and describes it."""
    cloudformation = cloud.client("cloudformation")
    names = {"StackName": "stack", "ChangeSetName": "change"}
    cloudformation.create_change_set(**names, TemplateBody=body, ChangeSetType=kind, **options)
    return dict(cloudformation.describe_change_set(**names))


def execute(cloud: Any) -> dict[str, Any]:
    cloud.client("cloudformation").execute_change_set(StackName="stack", ChangeSetName="change")
    return dict(cloud.stack())


def test_a_stack_is_made_by_a_change_set_with_its_outputs(cloud: Any) -> None:
    """Reviewed, then created; outputs and parameters are there afterwards."""
    body = template("1", Outputs={"Name": {"Value": {"Ref": "A"}}})
    planned = change(cloud, body, "CREATE")
    in_review = cloud.stack()["StackStatus"]

    stack = execute(cloud)

    assert "REVIEW_IN_PROGRESS" == in_review
    assert ("CREATE_COMPLETE", "AVAILABLE") == (planned["Status"], planned["ExecutionStatus"])
    assert ["Add"] == [item["ResourceChange"]["Action"] for item in planned["Changes"]]
    assert "CREATE_COMPLETE" == stack["StackStatus"]
    assert {"Name": "/a"} == cloud.outputs()


def test_an_update_tells_properties_and_replacement(cloud: Any) -> None:
    """DescribeChangeSet says what changes and whether it means a new resource, as `cdk diff` shows."""
    change(cloud, template("1"), "CREATE")
    execute(cloud)

    (found,) = change(cloud, template("2"), "UPDATE")["Changes"]

    details = found["ResourceChange"]
    assert ("Modify", "/a", "False") == (details["Action"], details["PhysicalResourceId"], details["Replacement"])
    assert [("Value", "Never")] == [
        (item["Target"]["Name"], item["Target"]["RequiresRecreation"]) for item in details["Details"]
    ]


def test_nothing_to_change_is_said_in_the_words_the_cli_waits_for(cloud: Any) -> None:
    """An empty change set is FAILED with AWS's own reason, and cannot be executed."""
    change(cloud, template("1"), "CREATE")
    execute(cloud)

    planned = change(cloud, template("1"), "UPDATE")

    assert "FAILED" == planned["Status"]
    assert planned["StatusReason"].startswith("The submitted information didn't contain changes.")
    with pytest.raises(ClientError, match="cannot be executed"):
        execute(cloud)


def test_a_change_of_outputs_alone_is_a_change(cloud: Any) -> None:
    """Outputs count even when no resource changes."""
    change(cloud, template("1"), "CREATE")
    execute(cloud)
    change(cloud, template("1", Outputs={"Name": {"Value": {"Ref": "A"}}}), "UPDATE")
    execute(cloud)

    assert {"Name": "/a"} == cloud.outputs()


def test_deleting_a_change_set_twice_is_fine_and_describing_it_is_not(cloud: Any) -> None:
    """DeleteChangeSet is idempotent; DescribeChangeSet answers ChangeSetNotFound."""
    change(cloud, template("1"), "CREATE")
    cloudformation = cloud.client("cloudformation")
    for _ in range(2):
        cloudformation.delete_change_set(StackName="stack", ChangeSetName="change")

    with pytest.raises(ClientError) as caught:
        cloudformation.describe_change_set(StackName="stack", ChangeSetName="change")

    assert "ChangeSetNotFound" == caught.value.response["Error"]["Code"]


def test_ssm_parameters_are_read_anew_and_previous_values_kept(cloud: Any) -> None:
    """UsePreviousValue works for a parameter that took its default; its SSM value is resolved at each deployment."""
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="/bootstrap/version", Value="20", Type="String")
    change(cloud, template({"Ref": "BootstrapVersion"}, Parameters=BOOTSTRAP), "CREATE")
    first = execute(cloud)["Parameters"]
    ssm.put_parameter(Name="/bootstrap/version", Value="21", Type="String", Overwrite=True)
    previous = [{"ParameterKey": "BootstrapVersion", "UsePreviousValue": True}]
    change(cloud, template({"Ref": "BootstrapVersion"}, Parameters=BOOTSTRAP), "UPDATE", Parameters=previous)
    execute(cloud)

    expected = {"ParameterKey": "BootstrapVersion", "ParameterValue": "/bootstrap/version", "ResolvedValue": "20"}
    assert [expected] == first
    assert "21" == ssm.get_parameter(Name="/a")["Parameter"]["Value"]


def test_a_rule_that_does_not_hold_refuses_the_deployment(cloud: Any) -> None:
    """CDK's bootstrap check is carried out, not ignored."""
    cloud.client("ssm").put_parameter(Name="/bootstrap/version", Value="2", Type="String")
    change(cloud, template("1", Parameters=BOOTSTRAP, Rules=RULES), "CREATE")

    with pytest.raises(ClientError, match=r"Please run cdk bootstrap\."):
        execute(cloud)


def test_an_account_without_bootstrap_is_told_so(cloud: Any) -> None:
    """A missing SSM parameter is an error in CloudFormation's words."""
    with pytest.raises(ClientError, match=r"Unable to fetch parameters \[/bootstrap/version\]"):
        change(cloud, template("1", Parameters=BOOTSTRAP), "CREATE")


def test_a_failing_change_set_shows_its_reason(cloud: Any) -> None:
    """A failed creation through a change set is ROLLBACK_COMPLETE with the reason, and refuses further updates."""
    cloud.client("ssm").put_parameter(Name="/a", Value="taken", Type="String")
    change(cloud, template("1"), "CREATE")

    stack = execute(cloud)

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "ParameterAlreadyExists" in stack["StackStatusReason"]
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        change(cloud, template("2"), "UPDATE")


def test_without_rollback_what_was_made_stays(cloud: Any) -> None:
    """DisableRollback leaves CREATE_FAILED and the resources that worked."""
    cloud.client("ssm").put_parameter(Name="/b", Value="taken", Type="String")
    resources = json.loads(template("1"))["Resources"]
    resources["B"] = {"Type": "AWS::SSM::Parameter", "DependsOn": "A"}
    resources["B"]["Properties"] = {"Name": "/b", "Type": "String", "Value": "2"}

    stack = cloud.deploy({"Resources": resources}, DisableRollback=True)

    assert "CREATE_FAILED" == stack["StackStatus"]
    assert {"A": "/a"} == cloud.resources()


def test_the_clis_options_are_taken(cloud: Any) -> None:
    """What `cdk bootstrap` and `cdk deploy` always send is fine; reverting drift is refused."""
    always = {"ImportExistingResources": True, "IncludeNestedStacks": True}
    planned = change(cloud, template("1"), "CREATE", **always)

    assert "CREATE_COMPLETE" == planned["Status"]
    with pytest.raises(ClientError, match="DeploymentMode is not carried out"):
        change(cloud, template("1"), "CREATE", DeploymentMode="REVERT_DRIFT")


def test_a_protected_stack_is_not_deleted(cloud: Any) -> None:
    """Termination protection holds until it is taken off."""
    cloud.deploy(json.loads(template("1")))
    cloudformation = cloud.client("cloudformation")
    cloudformation.update_termination_protection(StackName="stack", EnableTerminationProtection=True)

    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName="stack")
    cloudformation.update_termination_protection(StackName="stack", EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName="stack")
    assert [] == cloudformation.describe_stacks()["Stacks"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4510/assets/stack.json",
        "http://localhost:4510/assets/stack.json",
        "https://s3.us-east-1.amazonaws.com/assets/stack.json",
        "https://assets.s3.us-east-1.amazonaws.com/stack.json",
    ],
)
def test_a_template_is_found_under_every_url_the_cli_may_build(cloud: Any, url: str) -> None:
    """Loopback, path style and virtual-host style name the same object."""
    cloud.client("s3").create_bucket(Bucket="assets")
    cloud.client("s3").put_object(Bucket="assets", Key="stack.json", Body=template("1").encode())
    cloud.client("cloudformation").create_stack(StackName="stack", TemplateURL=url)

    assert "CREATE_COMPLETE" == cloud.stack()["StackStatus"]


def test_a_url_outside_s3_is_refused() -> None:
    """Nothing is ever fetched from the network."""
    with pytest.raises(TemplateError, match=r"example\.com"):
        bucket_and_key("https://example.com/template.json")


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        ({"Type": "Number"}, "3", "3"),
        ({"Type": "CommaDelimitedList"}, "a, b", ["a", "b"]),
        ({"Type": "List<Number>", "Default": "1,2"}, None, ["1", "2"]),
        ({"Type": "String", "Default": True}, None, "true"),
        ({"Type": "AWS::SSM::Parameter::Value<CommaDelimitedList>"}, "/list", ["/list", "/list"]),
    ],
)
def test_parameters_take_their_declared_form(declared: dict[str, Any], given: str | None, expected: Any) -> None:
    """Lists are split, SSM names are looked up, defaults fill in."""
    passed = [] if given is None else [{"ParameterKey": "P", "ParameterValue": given}]
    body = parse(template("1", Parameters={"P": declared}))

    assert {"P": expected} == settle(body, passed, {}, lambda name: f"{name},{name}").values


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ({"Type": "String"}, None, r"\[P\] must have values"),
        ({"Type": "String", "AllowedValues": ["a"]}, "b", "must be one of AllowedValues"),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "B", "must match pattern"),
        ({"Type": "Number"}, "x", "must be a number"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(declared: dict[str, Any], given: str | None, message: str) -> None:
    """Declarations are enforced."""
    passed = [] if given is None else [{"ParameterKey": "P", "ParameterValue": given}]

    with pytest.raises(TemplateError, match=message):
        settle(parse(template("1", Parameters={"P": declared})), passed, {}, str)
