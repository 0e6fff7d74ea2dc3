"""Small things that hold values: SSM parameters, log groups, container repositories."""

import json

from rerank_local.control.handlers.base import Call, Handler, Made, Resource


class Parameter(Handler):
    """AWS::SSM::Parameter; Ref is its name. A creation never overwrites an existing parameter."""

    type = "AWS::SSM::Parameter"
    name_property = "Name"

    def create(self, call: Call) -> Made:
        """PutParameter, without overwriting."""
        client = call.client("ssm")
        tags = [{"Key": key, "Value": value} for key, value in call.properties.get("Tags", {}).items()]
        arguments = {**call.arguments(client, "PutParameter", "Tags"), "Name": call.name}
        client.put_parameter(**arguments, **({"Tags": tags} if tags else {}))
        return self._made(call)

    def update(self, call: Call, old: Resource) -> Made:
        """PutParameter over the old value."""
        client = call.client("ssm")
        call.properties.read.add("Tags")
        arguments = {**call.arguments(client, "PutParameter", "Tags"), "Name": old.name}
        client.put_parameter(**arguments, Overwrite=True)
        return self._made(call)

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteParameter."""
        call.client("ssm").delete_parameter(Name=old.name)

    def _made(self, call: Call) -> Made:
        return Made(call.name, {"Type": call.properties["Type"], "Value": call.properties["Value"]})


class LogGroup(Handler):
    """AWS::Logs::LogGroup; Ref is its name."""

    type = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"

    def create(self, call: Call) -> Made:
        """CreateLogGroup."""
        tags = {tag["Key"]: tag["Value"] for tag in call.properties.get("Tags", [])}
        options = {"kmsKeyId": call.properties.get("KmsKeyId"), "logGroupClass": call.properties.get("LogGroupClass")}
        call.client("logs").create_log_group(
            logGroupName=call.name, tags=tags, **{key: value for key, value in options.items() if value}
        )
        return Made(call.name, {"Arn": f"{call.place.arn('logs', f'log-group:{call.name}')}:*"})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Retention and key."""
        client, days = call.client("logs"), call.properties.get("RetentionInDays")
        if days:
            client.put_retention_policy(logGroupName=made.physical_id, retentionInDays=days)
        elif old is not None and old.properties.get("RetentionInDays"):
            client.delete_retention_policy(logGroupName=made.physical_id)

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteLogGroup."""
        call.client("logs").delete_log_group(logGroupName=old.physical_id)


class Repository(Handler):
    """AWS::ECR::Repository (cdk bootstrap makes one); Ref is its name."""

    type = "AWS::ECR::Repository"
    name_property = "RepositoryName"

    def create(self, call: Call) -> Made:
        """CreateRepository."""
        scanning = call.properties.get("ImageScanningConfiguration", {}).get("ScanOnPush", False)
        repository = call.client("ecr").create_repository(
            repositoryName=call.name,
            imageScanningConfiguration={"scanOnPush": scanning},
            imageTagMutability=call.properties.get("ImageTagMutability", "MUTABLE"),
        )["repository"]
        return Made(call.name, {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Policies, scanning and mutability."""
        client, name, properties = call.client("ecr"), made.physical_id, call.properties
        lifecycle = properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if lifecycle:
            client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=lifecycle)
        if "RepositoryPolicyText" in properties:
            text = json.dumps(properties["RepositoryPolicyText"])
            client.set_repository_policy(repositoryName=name, policyText=text)
        if old is not None:
            scanning = properties.get("ImageScanningConfiguration", {}).get("ScanOnPush", False)
            client.put_image_scanning_configuration(
                repositoryName=name, imageScanningConfiguration={"scanOnPush": scanning}
            )
        properties.read.add("EmptyOnDelete")

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteRepository."""
        force = bool(old.properties.get("EmptyOnDelete", False))
        call.client("ecr").delete_repository(repositoryName=old.physical_id, force=force)


HANDLERS: tuple[Handler, ...] = (Parameter(), LogGroup(), Repository())
