"""KMS keys and aliases."""

import json

from rerank_local.control.handlers.base import Call, Handler, Made, Resource

_DEFAULT_WAIT_DAYS = 30  # of CloudFormation, before a deleted key is gone for good


class Key(Handler):
    """AWS::KMS::Key; Ref is the key id. Deleting schedules the deletion, as on AWS."""

    type = "AWS::KMS::Key"

    def create(self, call: Call) -> Made:
        """CreateKey."""
        client = call.client("kms")
        arguments = call.arguments(client, "CreateKey", "Policy", "Tags")
        if "KeyPolicy" in call.properties:
            arguments["Policy"] = json.dumps(call.properties["KeyPolicy"])
        tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in call.properties.get("Tags", [])]
        metadata = client.create_key(**arguments, Tags=tags)["KeyMetadata"]
        return Made(metadata["KeyId"], {"Arn": metadata["Arn"], "KeyId": metadata["KeyId"]})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Rotation, enablement, policy and description."""
        client, key, properties = call.client("kms"), made.physical_id, call.properties
        if properties.get("EnableKeyRotation"):
            period = properties.get("RotationPeriodInDays")
            client.enable_key_rotation(KeyId=key, **({"RotationPeriodInDays": period} if period else {}))
        elif old is not None:
            client.disable_key_rotation(KeyId=key)
        if not properties.get("Enabled", True):
            client.disable_key(KeyId=key)
        elif old is not None and not old.properties.get("Enabled", True):
            client.enable_key(KeyId=key)
        properties.read.add("PendingWindowInDays")
        if old is not None:
            if "KeyPolicy" in properties:
                client.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(properties["KeyPolicy"]))
            client.update_key_description(KeyId=key, Description=properties.get("Description", ""))

    def delete(self, call: Call, old: Resource) -> None:
        """ScheduleKeyDeletion."""
        days = old.properties.get("PendingWindowInDays", _DEFAULT_WAIT_DAYS)
        call.client("kms").schedule_key_deletion(KeyId=old.physical_id, PendingWindowInDays=days)


class Alias(Handler):
    """AWS::KMS::Alias; Ref is its name."""

    type = "AWS::KMS::Alias"
    name_property = "AliasName"

    def create(self, call: Call) -> Made:
        """CreateAlias."""
        name = call.properties["AliasName"]
        call.client("kms").create_alias(AliasName=name, TargetKeyId=call.properties["TargetKeyId"])
        return Made(name)

    def update(self, call: Call, old: Resource) -> Made:
        """UpdateAlias."""
        call.client("kms").update_alias(AliasName=old.physical_id, TargetKeyId=call.properties["TargetKeyId"])
        return old.made

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteAlias."""
        call.client("kms").delete_alias(AliasName=old.physical_id)


HANDLERS: tuple[Handler, ...] = (Key(), Alias())
