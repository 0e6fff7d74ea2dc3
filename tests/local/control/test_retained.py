"""The order in which the local AWS takes things back, and what it leaves: DeletionPolicy, UpdateReplacePolicy."""

from typing import Any

import pytest

ROLE = "arn:aws:iam::123456789012:role/reranker"
POLICIES = ["Delete", "Retain", "RetainExceptOnCreate"]


def parameter(name: str, **extra: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1", "Name": name}, **extra}


def model(image: str, **extra: Any) -> dict[str, Any]:
    properties = {
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": image, "ModelDataUrl": "s3://bucket/a.tar.gz"},
    }
    return {"Type": "AWS::SageMaker::Model", "Properties": properties, **extra}


def failing(*after: str) -> dict[str, Any]:
    """A configuration that cannot be made, because its model does not exist; it comes last."""
    variant = {"VariantName": "main", "ModelName": "nobody"}
    config = {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}}
    return config | {"DependsOn": list(after)}


def chain(*names: str, **extra: Any) -> dict[str, Any]:
    """Parameters of which each needs the one before."""
    needed = [{}, *({"DependsOn": name} for name in names)]
    return {name: parameter(f"/{name}") | need | extra for name, need in zip(names, needed, strict=False)}


def parameters(cloud: Any) -> set[str]:
    return {item["Name"] for item in cloud.client("ssm").describe_parameters()["Parameters"]}


def with_status(cloud: Any, *statuses: str) -> list[str]:
    return [name for name, status, _ in cloud.events() if status in statuses and name != "stack"]


def test_a_failed_creation_is_undone_newest_first(cloud: Any) -> None:
    """Whatever needs another resource goes before it."""
    stack = cloud.deploy({"Resources": chain("a", "b", "c") | {"Fails": failing("c")}})

    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert ["a", "b", "c"] == with_status(cloud, "CREATE_COMPLETE")
    assert ["c", "b", "a"] == with_status(cloud, "DELETE_COMPLETE")


def test_a_failed_update_is_undone_newest_first(cloud: Any) -> None:
    """Values that changed, replacements and additions are taken back in the reverse of their order."""
    before = chain("a") | {"Model": model("image:1", DependsOn="a")} | chain("b")
    before["b"]["DependsOn"] = "Model"
    cloud.deploy({"Resources": before})
    after = chain("a") | {"Model": model("image:2", DependsOn="a")} | chain("b", "new")
    after["b"]["DependsOn"] = "Model"
    for name in ("a", "b"):
        after[name]["Properties"] |= {"Value": "2"}
    cloud.deploy({"Resources": after | {"Fails": failing("new")}})

    rollback = [name for name, _, _ in cloud.events()]
    start = [status for _, status, _ in cloud.events()].index("UPDATE_ROLLBACK_IN_PROGRESS")
    touched = list(dict.fromkeys(rollback[start + 1 :]))
    assert ["new", "b", "Model", "a", "stack"] == touched


def test_removed_resources_go_newest_first(cloud: Any) -> None:
    """An update deletes what the template no longer has in the reverse of the order in which it was made."""
    cloud.deploy({"Resources": chain("kept", "b", "c")})

    cloud.deploy({"Resources": chain("kept")})

    assert ["c", "b"] == with_status(cloud, "DELETE_COMPLETE")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_deleted_stack_leaves_what_it_retains(cloud: Any, policy: str) -> None:
    """Deleting a stack spares resources with either Retain policy, and its events say so."""
    cloud.deploy({"Resources": {"a": parameter("/a", DeletionPolicy=policy), "b": parameter("/b")}})
    stack_id = cloud.stack()["StackId"]
    cloud.client("cloudformation").delete_stack(StackName="stack")

    expected = "DELETE_COMPLETE" if policy == "Delete" else "DELETE_SKIPPED"
    assert (set() if policy == "Delete" else {"/a"}) == parameters(cloud)
    assert [expected] == [s for name, s, _ in cloud.events(stack_id) if name == "a" and s.startswith("DELETE_")][-1:]


@pytest.mark.parametrize("policy", POLICIES)
def test_an_update_that_removes_a_resource_leaves_what_it_retains(cloud: Any, policy: str) -> None:
    """A resource that the new template no longer has is deleted, unless it is to be retained."""
    cloud.deploy({"Resources": {"a": parameter("/a", DeletionPolicy=policy), "b": parameter("/b")}})

    stack = cloud.deploy({"Resources": {"b": parameter("/b")}})

    skipped = [] if policy == "Delete" else ["a"]
    assert "UPDATE_COMPLETE" == stack["StackStatus"]
    assert ({"/b"} if policy == "Delete" else {"/a", "/b"}) == parameters(cloud)
    assert skipped == with_status(cloud, "DELETE_SKIPPED")
    assert {"b"} == set(cloud.resources())


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_an_update_that_replaces_a_resource_asks_its_update_replace_policy(cloud: Any, policy: str) -> None:
    """The old model stays when UpdateReplacePolicy says so; DeletionPolicy has no say in a replacement."""
    other = "Retain" if policy == "Delete" else "Delete"
    policies = {"UpdateReplacePolicy": policy, "DeletionPolicy": other}
    cloud.deploy({"Resources": {"Model": model("image:1", **policies)}})

    cloud.deploy({"Resources": {"Model": model("image:2", **policies)}})

    images = ["image:2"] if policy == "Delete" else ["image:1", "image:2"]
    assert images == sorted(_images(cloud))
    assert ([] if policy == "Delete" else ["Model"]) == with_status(cloud, "DELETE_SKIPPED")


def test_a_removed_resource_does_not_ask_the_update_replace_policy(cloud: Any) -> None:
    """UpdateReplacePolicy spares replaced resources only."""
    cloud.deploy({"Resources": {"a": parameter("/a", UpdateReplacePolicy="Retain"), "b": parameter("/b")}})

    cloud.deploy({"Resources": {"b": parameter("/b")}})

    assert {"/b"} == parameters(cloud)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_failed_creation_leaves_what_it_retains(cloud: Any, policy: str) -> None:
    """The rollback of a creation spares Retain alone: that is what RetainExceptOnCreate is for."""
    stack = cloud.deploy({"Resources": {"a": parameter("/a", DeletionPolicy=policy), "Fails": failing("a")}})

    left, skipped = ({"/a"}, ["a"]) if policy == "Retain" else (set(), [])
    assert "ROLLBACK_COMPLETE" == stack["StackStatus"]
    assert left == parameters(cloud)
    assert skipped == with_status(cloud, "DELETE_SKIPPED")


def test_a_policy_alone_can_be_changed(cloud: Any) -> None:
    """A template that changes nothing but the policy has its effect on the next removal."""
    cloud.deploy({"Resources": {"a": parameter("/a"), "b": parameter("/b")}})
    cloud.deploy({"Resources": {"a": parameter("/a", DeletionPolicy="Retain"), "b": parameter("/b")}})

    cloud.deploy({"Resources": {"b": parameter("/b")}})

    assert {"/a", "/b"} == parameters(cloud)


def test_a_failed_update_keeps_the_old_policies(cloud: Any) -> None:
    """A policy of a template that was rolled back has no effect."""
    cloud.deploy({"Resources": {"a": parameter("/a"), "b": parameter("/b")}})
    changed = {"a": parameter("/a", DeletionPolicy="Retain"), "b": parameter("/b"), "Fails": failing("a", "b")}
    cloud.deploy({"Resources": changed})

    cloud.deploy({"Resources": {"b": parameter("/b")}})

    assert {"/b"} == parameters(cloud)


def _images(cloud: Any) -> list[str]:
    sagemaker = cloud.client("sagemaker")
    names = [item["ModelName"] for item in sagemaker.list_models()["Models"]]
    return [sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Image"] for name in names]
