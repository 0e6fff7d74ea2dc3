"""What the roles may do, and no more."""

import json
from collections.abc import Callable, Iterator
from typing import Any

POLICY, ROLE = "AWS::IAM::Policy", "AWS::IAM::Role"


def statements(template: Any, role: str) -> dict[str, dict[str, Any]]:
    """A role's statements by Sid."""
    own = [p for p in template.properties(POLICY) if {"Ref": role} in p["Roles"]]
    return {s["Sid"]: s for p in own for s in p["PolicyDocument"]["Statement"]}


def roles(stacks: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """The statements of the endpoint's role and of the batch role."""
    found = {role: statements(stacks.endpoint, role) for role in stacks.endpoint.resources(ROLE)}
    return {"batch" if "ReadInputs" in sids else "endpoint": sids for sids in found.values()}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_no_action_is_a_wildcard(stacks: Any) -> None:
    """Every action is written out, and no managed policy of AWS is attached."""
    template = stacks.endpoint
    actions = {
        a
        for kind in (POLICY, "AWS::IAM::ManagedPolicy")
        for p in template.properties(kind)
        for s in p["PolicyDocument"]["Statement"]
        for a in as_list(s["Action"])
    }

    assert [] == [action for action in actions if "*" in action]
    assert [] == [p for p in template.properties(ROLE) if "ManagedPolicyArns" in p]
    assert "FullAccess" not in json.dumps(template.body)


def test_only_sagemaker_in_this_account_takes_the_roles(stacks: Any) -> None:
    """The trust names the service and the account: no one else's endpoint can borrow the role."""
    for role in stacks.endpoint.properties(ROLE):
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

        assert {"Service": "sagemaker.amazonaws.com"} == trust["Principal"]
        assert {"StringEquals": {"aws:SourceAccount": "123456789012"}} == trust["Condition"]


def test_endpoint_and_batch_roles_are_apart(stacks: Any) -> None:
    """The endpoint's role cannot read batch objects; both read the one bundle and pull the one repository."""
    found = roles(stacks)

    assert {"endpoint", "batch"} == set(found)
    assert {"ReadInputs", "WriteOutputs", "ListInputs"} <= set(found["batch"]) - set(found["endpoint"])
    for sids in found.values():
        (repository,) = as_list(sids["PullImage"]["Resource"])
        assert "arn:aws:ecr:us-east-1:763104351884:repository/huggingface-pytorch-inference" == repository


def test_roles_read_exactly_the_bundle(stacks: Any) -> None:
    """One object, not a prefix and not the bucket."""
    key = f"{next(iter(stacks.assets['files']))}.gz"
    for sids in roles(stacks).values():
        (resource,) = as_list(sids["ReadBundle"]["Resource"])
        arn = "".join(text for text in texts(resource) if text not in ("", "AWS::Partition"))

        assert "s3:GetObject" == sids["ReadBundle"]["Action"]
        assert f"arn::s3:::cdk-hnb659fds-assets-123456789012-us-east-1/{key}" == arn


def test_wildcard_resources_are_the_known_ones(stacks: Any) -> None:
    """`*` stands where IAM has no ARN, with a condition where there is one, and in names that do not exist yet."""
    found = {
        sid
        for sids in roles(stacks).values()
        for sid, s in sids.items()
        if any("*" in text for text in texts(s["Resource"]))
    }

    assert {"LogInToEcr", "PutMetrics", "WriteLogs", "ReadInputs", "WriteOutputs"} == found
    for sids in roles(stacks).values():
        assert "cloudwatch:namespace" in sids["PutMetrics"]["Condition"]["StringEquals"]
    assert {"StringLike": {"s3:prefix": ["input/*"]}} == roles(stacks)["batch"]["ListInputs"]["Condition"]


def test_grants_are_for_volumes_only(stacks: Any) -> None:
    """The key's grants are made by AWS services for their resources, not by whoever holds the role."""
    for sids in roles(stacks).values():
        assert {"Bool": {"kms:GrantIsForAWSResource": "true"}} == sids["GrantKeyToVolumes"]["Condition"]


def test_logs_go_to_the_endpoints_own_group(stacks: Any) -> None:
    """The endpoint's role writes to its log group and to no other."""
    name = f"/aws/sagemaker/Endpoints/{stacks.deployment.endpoint_name}"
    resources = as_list(roles(stacks)["endpoint"]["WriteLogs"]["Resource"])

    assert all(f":log-group:{name}" in resource for resource in resources)


def test_callers_may_invoke_this_endpoint_only(synthesize: Callable[..., Any]) -> None:
    """The policy for callers names the endpoint in lower case, as IAM compares it."""
    stacks = synthesize("sandbox", endpoint={"name": "Search-Reranker"})
    (statement,) = stacks.endpoint.only("AWS::IAM::ManagedPolicy")["PolicyDocument"]["Statement"]

    assert "sagemaker:InvokeEndpoint" == statement["Action"]
    assert "arn:aws:sagemaker:us-east-1:123456789012:endpoint/search-reranker" == statement["Resource"]


def test_a_bootstrap_bucket_with_a_key_can_be_read(synthesize: Callable[..., Any]) -> None:
    """With the account's own key on the asset bucket, the roles may decrypt through S3."""
    arn = "arn:aws:kms:us-east-1:123456789012:key/12345678-90ab-cdef-1234-567890abcdef"
    stacks = synthesize("sandbox", bundle={"kms_key_arn": arn})

    assert [arn, arn] == [s["Resource"] for s in stacks.endpoint.statements("DecryptBundle")]


def test_a_new_bundle_keeps_the_old_permission_until_the_update_is_done(
    sandbox: Any, synthesize: Callable[..., Any], make_bundle: Callable[[str], Any]
) -> None:
    """The policy that reads a bundle is named after it: the new one is created first, the old one removed last."""
    updated = synthesize("sandbox", bundle_path=make_bundle("another model"))

    def readers(stacks: Any) -> set[str]:
        return {key for key, p in stacks.endpoint.resources(POLICY).items() if "ReadBundle" in json.dumps(p)}

    assert 2 == len(readers(sandbox)) == len(readers(updated))
    assert set() == readers(sandbox) & readers(updated)
    assert set(sandbox.endpoint.resources(ROLE)) == set(updated.endpoint.resources(ROLE))


def training(stacks: Any) -> dict[str, dict[str, Any]]:
    """The statements of the training role, which is the foundation's only one."""
    (role,) = stacks.foundation.resources(ROLE)
    return statements(stacks.foundation, role)


def test_production_has_no_training_role(production: Any) -> None:
    """A role that nobody asked for is not there."""
    assert {} == production.foundation.resources(ROLE)


def test_training_jobs_keep_to_their_prefix(sandbox: Any) -> None:
    """Data, state and results are read and written under training/; inputs, outputs and the bundle are out of reach."""
    sids = training(sandbox)
    reached = {sid: "".join(texts(s["Resource"])) for sid, s in sids.items() if "s3:" in json.dumps(s["Action"])}

    assert {"ListTraining", "ReadAndWriteTraining"} == set(reached)
    assert reached["ReadAndWriteTraining"].endswith("/training/*")
    assert {"StringLike": {"s3:prefix": ["training/*"]}} == sids["ListTraining"]["Condition"]
    assert {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"} == set(sids["ReadAndWriteTraining"]["Action"])


def test_the_training_role_is_sagemakers_and_no_wider_than_it_must_be(sandbox: Any) -> None:
    """This account's SageMaker takes it; wildcards are the known ones, each held by a condition or a name."""
    (trust,) = sandbox.foundation.only(ROLE)["AssumeRolePolicyDocument"]["Statement"]
    sids = training(sandbox)
    wild = {sid for sid, s in sids.items() if any("*" in text for text in texts(s["Resource"]))}
    actions = {action for s in sids.values() for action in as_list(s["Action"])}

    assert {"Service": "sagemaker.amazonaws.com"} == trust["Principal"]
    assert {"StringEquals": {"aws:SourceAccount": "123456789012"}} == trust["Condition"]
    assert {"LogInToEcr", "PutMetrics", "WriteLogs", "ReadAndWriteTraining"} == wild
    assert [] == [action for action in actions if "*" in action or action.startswith("iam:")]
    assert "arn:aws:ecr:us-east-1:763104351884:repository/pytorch-training" == sids["PullImage"]["Resource"]
    assert ":log-group:/aws/sagemaker/TrainingJobs" in json.dumps(sids["WriteLogs"]["Resource"])
    assert {"Bool": {"kms:GrantIsForAWSResource": "true"}} == sids["GrantKeyToVolumes"]["Condition"]
