"""IAM roles, inline policies and managed policies. IAM is recorded here, never enforced."""

import json
from typing import Any

from rerank_local.control.handlers.base import Call, Handler, Made, Resource, gone

_KINDS = ("Role", "User", "Group")


class Role(Handler):
    """AWS::IAM::Role; Ref is its name."""

    type = "AWS::IAM::Role"
    name_property = "RoleName"

    def create(self, call: Call) -> Made:
        """CreateRole."""
        client = call.client("iam")
        arguments = call.arguments(client, "CreateRole", "AssumeRolePolicyDocument")
        arguments |= {"RoleName": call.name, "AssumeRolePolicyDocument": _json(call, "AssumeRolePolicyDocument")}
        role = client.create_role(**arguments)["Role"]
        return Made(call.name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Trust, description, inline policies and attachments."""
        client, name, properties = call.client("iam"), made.physical_id, call.properties
        if old is not None:
            client.update_assume_role_policy(RoleName=name, PolicyDocument=_json(call, "AssumeRolePolicyDocument"))
            client.update_role(
                RoleName=name,
                Description=properties.get("Description", ""),
                MaxSessionDuration=properties.get("MaxSessionDuration", 3600),
            )
        before = {item["PolicyName"] for item in old.properties.get("Policies", [])} if old else set()
        for policy in properties.get("Policies", []):
            before.discard(policy["PolicyName"])
            document = json.dumps(policy["PolicyDocument"])
            client.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
        for stale in sorted(before):
            client.delete_role_policy(RoleName=name, PolicyName=stale)
        attached = set(old.properties.get("ManagedPolicyArns", [])) if old else set()
        wanted = set(properties.get("ManagedPolicyArns", []))
        for arn in sorted(wanted - attached):
            _attach(client, name, arn)
        for arn in sorted(attached - wanted):
            _detach(client, name, arn)

    def delete(self, call: Call, old: Resource) -> None:
        """Detaches everything, then DeleteRole."""
        client, name = call.client("iam"), old.physical_id
        for arn in old.properties.get("ManagedPolicyArns", []):
            _detach(client, name, arn)
        for policy in old.properties.get("Policies", []):
            client.delete_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
        client.delete_role(RoleName=name)


class Policy(Handler):
    """AWS::IAM::Policy: an inline policy on roles, users and groups."""

    type = "AWS::IAM::Policy"

    def create(self, call: Call) -> Made:
        """Nothing of its own: the policy lives on what it is put on."""
        return Made(call.name, {"Id": call.name})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Puts the policy, and takes it off what it no longer names."""
        client, wanted = call.client("iam"), _holders(call.properties)
        name, document = call.properties["PolicyName"], _json(call, "PolicyDocument")
        for kind, holder in wanted:
            put = getattr(client, f"put_{kind.lower()}_policy")
            put(**{f"{kind}Name": holder}, PolicyName=name, PolicyDocument=document)
        if old is not None:
            renamed = old.properties["PolicyName"] != name
            self._take_off(client, old, [item for item in _holders(old.properties) if renamed or item not in wanted])

    def delete(self, call: Call, old: Resource) -> None:
        """Takes the policy off everything that still exists."""
        self._take_off(call.client("iam"), old, _holders(old.properties))

    def _take_off(self, client: Any, old: Resource, holders: list[tuple[str, str]]) -> None:
        for kind, holder in holders:
            try:
                delete = getattr(client, f"delete_{kind.lower()}_policy")
                delete(**{f"{kind}Name": holder}, PolicyName=old.properties["PolicyName"])
            except client.exceptions.ClientError as error:
                if not gone(error):
                    raise


class ManagedPolicy(Handler):
    """AWS::IAM::ManagedPolicy; Ref is its ARN."""

    type = "AWS::IAM::ManagedPolicy"
    name_property = "ManagedPolicyName"

    def create(self, call: Call) -> Made:
        """CreatePolicy."""
        client = call.client("iam")
        arguments = call.arguments(client, "CreatePolicy", "PolicyDocument")
        arguments |= {"PolicyName": call.name, "PolicyDocument": _json(call, "PolicyDocument")}
        policy = client.create_policy(**arguments)["Policy"]
        return Made(policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Attachments; a new default version when the document changed."""
        client, arn = call.client("iam"), made.physical_id
        wanted, attached = _holders(call.properties), _holders(old.properties) if old else []
        for kind, holder in wanted:
            if (kind, holder) not in attached:
                getattr(client, f"attach_{kind.lower()}_policy")(**{f"{kind}Name": holder}, PolicyArn=arn)
        for kind, holder in attached:
            if (kind, holder) not in wanted:
                getattr(client, f"detach_{kind.lower()}_policy")(**{f"{kind}Name": holder}, PolicyArn=arn)
        document = _json(call, "PolicyDocument")
        if old is not None and json.loads(document) != old.properties["PolicyDocument"]:
            _drop_versions(client, arn)
            client.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
            _drop_versions(client, arn)

    def delete(self, call: Call, old: Resource) -> None:
        """Detaches, then DeletePolicy."""
        client, arn = call.client("iam"), old.physical_id
        for kind, holder in _holders(old.properties):
            try:
                getattr(client, f"detach_{kind.lower()}_policy")(**{f"{kind}Name": holder}, PolicyArn=arn)
            except client.exceptions.ClientError as error:
                if not gone(error):
                    raise
        _drop_versions(client, arn)
        client.delete_policy(PolicyArn=arn)


HANDLERS: tuple[Handler, ...] = (Role(), Policy(), ManagedPolicy())


def _holders(properties: Any) -> list[tuple[str, str]]:
    return [(kind, name) for kind in _KINDS for name in properties.get(f"{kind}s", [])]


def _json(call: Call, name: str) -> str:
    value = call.properties[name]
    return value if isinstance(value, str) else json.dumps(value)


def _drop_versions(client: Any, arn: str) -> None:
    for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _attach(client: Any, role: str, arn: str) -> None:
    try:
        client.attach_role_policy(RoleName=role, PolicyArn=arn)
    except client.exceptions.NoSuchEntityException:
        if ":iam::aws:policy/" not in arn:  # AWS's own policies are not loaded here, and nothing would enforce them
            raise


def _detach(client: Any, role: str, arn: str) -> None:
    try:
        client.detach_role_policy(RoleName=role, PolicyArn=arn)
    except client.exceptions.NoSuchEntityException:
        return
