"""Stacks under mock_aws: creation, updates, rollback, deletion, exports, change sets."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rerank_local.control.handlers.s3 import BucketPolicy

ROLE = "arn:aws:iam::123456789012:role/reranker"


def parameter(value: Any, **extra: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value, **extra}}


def serving(url: str = "s3://bucket/a.tar.gz", **endpoint: Any) -> dict[str, Any]:
    """A model, its config and its endpoint, wired by attributes, in an order that is not the creation order."""
    variant = {
        "VariantName": "main",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.g6.xlarge",
        "InitialInstanceCount": 1,
    }
    return {
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}, **endpoint},
        },
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "image:1", "ModelDataUrl": url}},
        },
    }


def test_resources_are_made_in_the_order_they_need_each_other(cloud: Any) -> None:
    """References decide the order, not the template's text."""
    cloud.deploy({"Resources": serving()})

    made = [name for name, status, _ in cloud.events() if status == "CREATE_COMPLETE"]
    assert ["Model", "Config", "Endpoint", "stack"] == made


def test_a_new_model_reaches_the_endpoint_in_place(cloud: Any) -> None:
    """Model and config are replaced, the endpoint keeps its name and serves the new config; the old ones go."""
    cloud.deploy({"Resources": serving()})
    before = cloud.resources()

    stack = cloud.deploy({"Resources": serving("s3://bucket/b.tar.gz")})

    after, sagemaker = cloud.resources(), cloud.client("sagemaker")
    assert "UPDATE_COMPLETE" == stack["StackStatus"]
    assert before["Endpoint"] == after["Endpoint"]
    assert before["Model"] != after["Model"]
    config_name = sagemaker.describe_endpoint(EndpointName=after["Endpoint"].rpartition("/")[2])["EndpointConfigName"]
    assert after["Config"].endswith(config_name)
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config_name)["ProductionVariants"]
    container = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    assert "s3://bucket/b.tar.gz" == container["ModelDataUrl"]
    assert 1 == len(sagemaker.list_models()["Models"])
    assert 1 == len(sagemaker.list_endpoint_configs()["EndpointConfigs"])


def test_a_failed_creation_leaves_nothing(cloud: Any) -> None:
    """What was made before the failure is deleted, and the reason stands in the stack and its events."""
    resources = {"First": parameter("1", Name="/first"), "Last": {**serving()["Config"], "DependsOn": "First"}}
    resources["Last"]["Properties"] = {"ProductionVariants": [{"VariantName": "main", "ModelName": "nobody"}]}

    stack = cloud.deploy({"Resources": resources})

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "Last" in stack["StackStatusReason"]
    assert {} == cloud.resources()
    with pytest.raises(ClientError, match="ParameterNotFound"):
        cloud.client("ssm").get_parameter(Name="/first")
    assert ("First", "DELETE_COMPLETE", None) in cloud.events()


def test_a_failed_update_brings_everything_back(cloud: Any) -> None:
    """Changed values, added, replaced and removed resources are as before, the endpoint on its old config."""
    old = {"A": parameter("old", Name="/a"), "Gone": parameter("here", Name="/gone"), **serving()}
    cloud.deploy({"Resources": old})
    before = cloud.resources()
    new = {"A": parameter("new", Name="/a"), "New": parameter("1", Name="/new"), **serving("s3://bucket/b.tar.gz")}
    taken = cloud.client("ssm").put_parameter(Name="/taken", Value="x", Type="String")
    assert taken["Version"] == 1
    new["Fails"] = {**parameter("1", Name="/taken"), "DependsOn": ["A", "New", "Endpoint"]}

    stack = cloud.deploy({"Resources": new})

    ssm, sagemaker = cloud.client("ssm"), cloud.client("sagemaker")
    assert "UPDATE_ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert before == cloud.resources()
    assert "old" == ssm.get_parameter(Name="/a")["Parameter"]["Value"]
    assert "here" == ssm.get_parameter(Name="/gone")["Parameter"]["Value"]
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name="/new")
    endpoint = sagemaker.describe_endpoint(EndpointName=before["Endpoint"].rpartition("/")[2])
    assert before["Config"].endswith(endpoint["EndpointConfigName"])
    assert 1 == len(sagemaker.list_models()["Models"])


def test_a_stack_that_rolled_back_takes_the_next_update(cloud: Any) -> None:
    """After UPDATE_ROLLBACK_COMPLETE a good template deploys."""
    cloud.deploy({"Resources": {"A": parameter("1", Name="/a")}})
    cloud.client("ssm").put_parameter(Name="/taken", Value="x", Type="String")
    cloud.deploy({"Resources": {"A": parameter("2", Name="/a"), "B": parameter("1", Name="/taken")}})

    stack = cloud.deploy({"Resources": {"A": parameter("3", Name="/a")}})

    assert "UPDATE_COMPLETE" == stack["StackStatus"]
    assert "3" == cloud.client("ssm").get_parameter(Name="/a")["Parameter"]["Value"]


def test_explicit_names_are_honoured_and_refuse_replacement(cloud: Any) -> None:
    """An endpoint has the name it was given; a named model cannot be replaced under the same name, as on AWS."""
    resources = serving(EndpointName="reranker")
    resources["Model"]["Properties"]["ModelName"] = "fixed"
    cloud.deploy({"Resources": resources})
    resources["Model"]["Properties"]["PrimaryContainer"]["Image"] = "image:2"

    stack = cloud.deploy({"Resources": resources})

    assert "InService" == cloud.client("sagemaker").describe_endpoint(EndpointName="reranker")["EndpointStatus"]
    assert "UPDATE_ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "cannot update a stack when a custom-named resource requires replacing" in stack["StackStatusReason"]


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        ({"Type": "AWS::Nonsense::Thing"}, "Unrecognized resource types"),
        ({"Type": "AWS::SageMaker::InferenceComponent"}, "does not carry out AWS::SageMaker::InferenceComponent"),
        ({"Type": "Custom::Thing", "Properties": {"ServiceToken": "x"}}, "custom resource"),
    ],
)
def test_an_unknown_type_is_refused_before_anything_is_made(cloud: Any, resource: Any, message: str) -> None:
    """Types that would be skipped in silence fail the call, naming the resource."""
    with pytest.raises(ClientError, match=message) as caught:
        cloud.deploy({"Resources": {"A": parameter("1", Name="/a"), "Odd": resource}})

    assert "Odd" in str(caught.value)
    assert [] == cloud.client("cloudformation").describe_stacks()["Stacks"]


def test_a_misspelt_property_fails_its_resource(cloud: Any) -> None:
    """Properties that CloudFormation does not know are refused with their path."""
    stack = cloud.deploy({"Resources": {"A": parameter("1", Nmae="/a")}})

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert "Encountered unsupported property /Nmae in resource A" in stack["StackStatusReason"]


def test_a_property_nobody_carries_out_is_told(cloud: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What moto drops stands in the log and in the resource's event."""
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"AccelerateConfiguration": {"AccelerationStatus": "Enabled"}}}

    cloud.deploy({"Resources": {"A": bucket}})

    note = "Not carried out by the AWS on this machine: AccelerateConfiguration"
    assert ("A", "CREATE_COMPLETE", note) in cloud.events()
    assert note in caplog.text


def test_another_stack_imports_what_one_exports(cloud: Any) -> None:
    """Exports bind: while imported they can neither change nor go."""
    exporter = _exporter("1")
    cloud.deploy(exporter, "base")
    cloud.deploy({"Resources": {"B": parameter({"Fn::ImportValue": "base:name"}, Name="/b")}}, "user")
    cloudformation = cloud.client("cloudformation")

    assert "1" == cloud.client("ssm").get_parameter(Name="/b")["Parameter"]["Value"]
    assert ["user"] == cloudformation.list_imports(ExportName="base:name")["Imports"]
    changed = cloud.deploy(_exporter("2"), "base")
    assert "Export base:name cannot be updated as it is in use by user" in changed["StackStatusReason"]
    with pytest.raises(ClientError, match="cannot be deleted as it is in use by user"):
        cloudformation.delete_stack(StackName="base")
    cloudformation.delete_stack(StackName="user")
    cloudformation.delete_stack(StackName="base")
    assert [] == cloudformation.list_exports()["Exports"]


def test_a_missing_export_fails_the_stack(cloud: Any) -> None:
    """An import of nothing is an error with the export's name."""
    stack = cloud.deploy({"Resources": {"B": parameter({"Fn::ImportValue": "nobody"}, Name="/b")}})

    assert "No export named nobody found." in stack["StackStatusReason"]


def test_deletion_runs_backwards_and_keeps_what_is_retained(cloud: Any) -> None:
    """Resources go in reverse; a retained bucket stays; an id still finds the deleted stack."""
    bucket = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": "kept"}}
    cloud.deploy({"Resources": {**serving(), "Bucket": bucket}})
    stack_id = cloud.stack()["StackId"]

    cloud.client("cloudformation").delete_stack(StackName="stack")

    deleted = [name for name, status, _ in cloud.events(stack_id) if status == "DELETE_COMPLETE"]
    assert ["Endpoint", "Config", "Model", "stack"] == deleted
    assert ["kept"] == [item["Name"] for item in cloud.client("s3").list_buckets()["Buckets"]]
    assert "DELETE_COMPLETE" == cloud.stack(stack_id)["StackStatus"]
    with pytest.raises(ClientError, match="does not exist"):
        cloud.stack("stack")


def test_a_full_bucket_fails_the_deletion_and_the_next_try_finishes_it(cloud: Any) -> None:
    """DELETE_FAILED names the bucket; once empty, deleting again works."""
    cloud.deploy({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full"}}}})
    cloud.client("s3").put_object(Bucket="full", Key="a", Body=b"x")
    cloud.client("cloudformation").delete_stack(StackName="stack")
    failed = cloud.stack()
    cloud.client("s3").delete_object(Bucket="full", Key="a")
    cloud.client("cloudformation").delete_stack(StackName="stack")

    assert "DELETE_FAILED" == failed["StackStatus"]
    assert "Bucket: The bucket you tried to delete is not empty" in failed["StackStatusReason"]
    assert "DELETE_COMPLETE" == cloud.stack(failed["StackId"])["StackStatus"]


def test_what_cannot_be_deleted_can_be_left_behind(cloud: Any) -> None:
    """RetainResources finishes a deletion that failed, and only such a one."""
    cloud.deploy({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full"}}}})
    cloud.client("s3").put_object(Bucket="full", Key="a", Body=b"x")
    cloudformation = cloud.client("cloudformation")
    with pytest.raises(ClientError, match="DELETE_FAILED state"):
        cloudformation.delete_stack(StackName="stack", RetainResources=["Bucket"])
    cloudformation.delete_stack(StackName="stack")
    cloudformation.delete_stack(StackName="stack", RetainResources=["Bucket"])

    assert [] == cloudformation.describe_stacks()["Stacks"]
    assert ["full"] == [item["Name"] for item in cloud.client("s3").list_buckets()["Buckets"]]


@pytest.mark.parametrize("option", [{"OnFailure": "DELETE"}, {"StackPolicyBody": "{}"}])
def test_an_option_nobody_carries_out_is_refused(cloud: Any, option: dict[str, str]) -> None:
    """Options are not dropped in silence."""
    with pytest.raises(ClientError, match="is not carried out"):
        cloud.deploy({"Resources": {"A": parameter("1", Name="/a")}}, **option)


def test_a_failure_to_undo_is_told(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the rollback fails as well, the stack says both reasons."""
    policy = {"Version": "2012-10-17", "Statement": []}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "undone"}}
    attached = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": policy},
    }
    fails = {**serving()["Config"], "DependsOn": "Policy", "Properties": {"ProductionVariants": []}}

    def stuck(self: Any, call: Any, old: Any) -> None:
        raise RuntimeError("it will not go")

    monkeypatch.setattr(BucketPolicy, "delete", stuck)
    stack = cloud.deploy({"Resources": {"Bucket": bucket, "Policy": attached, "Config": fails}})

    assert "ROLLBACK_FAILED" == stack["StackStatus"]
    assert "it will not go" in stack["StackStatusReason"]


def test_conditions_choose_resources_and_outputs(cloud: Any) -> None:
    """What a false condition leaves out is not made; turning it on adds it, turning it off deletes it."""
    template = {
        "Parameters": {"Two": {"Type": "String", "Default": "no", "AllowedValues": ["yes", "no"]}},
        "Conditions": {"Both": {"Fn::Equals": [{"Ref": "Two"}, "yes"]}},
        "Resources": {"A": parameter("1", Name="/a"), "B": {**parameter("2", Name="/b"), "Condition": "Both"}},
        "Outputs": {"A": {"Value": {"Ref": "A"}}, "B": {"Value": {"Ref": "B"}, "Condition": "Both"}},
    }
    cloud.deploy(template)
    alone = cloud.outputs()
    cloud.deploy(template, Parameters=[{"ParameterKey": "Two", "ParameterValue": "yes"}])
    both = cloud.outputs()
    cloud.deploy(template, Parameters=[{"ParameterKey": "Two", "ParameterValue": "no"}])

    assert {"A": "/a"} == alone
    assert {"A": "/a", "B": "/b"} == both
    assert {"A"} == set(cloud.resources())


def _exporter(value: str) -> dict[str, Any]:
    output = {"Value": {"Fn::GetAtt": ["A", "Value"]}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:name"}}}
    return json.loads(json.dumps({"Resources": {"A": parameter(value, Name="/a")}, "Outputs": {"Name": output}}))
