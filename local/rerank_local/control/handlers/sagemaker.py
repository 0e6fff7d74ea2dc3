"""SageMaker models, endpoint configs and endpoints.

Of models and endpoint configs everything but the tags is create-only: a change replaces them.
"""

import threading
from collections.abc import Iterable
from typing import Any

from rerank_local.control.errors import ResourceFailed
from rerank_local.control.handlers.base import Call, Handler, Made, Resource

_POLL_S = 0.1


class _Named(Handler):
    """A SageMaker resource whose Ref is its ARN and whose one attribute is its name."""

    noun = ""

    def create(self, call: Call) -> Made:
        """Create<noun> with every property the API takes; it keeps and describes them all."""
        client = call.client("sagemaker")
        operation = f"create_{_snake(self.noun)}"
        arguments = {**call.arguments(client, f"Create{self.noun}"), self.name_property: call.name}
        arn = getattr(client, operation)(**arguments)[f"{self.noun}Arn"]
        return Made(arn, {self.name_property: call.name, f"{self.noun}Arn": arn})

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Tags, the only thing that changes in place."""
        wanted = {tag["Key"]: tag["Value"] for tag in call.properties.get("Tags", [])}
        if old is not None:
            client = call.client("sagemaker")
            stale = {tag["Key"] for tag in old.properties.get("Tags", [])} - set(wanted)
            if stale:
                client.delete_tags(ResourceArn=made.physical_id, TagKeys=sorted(stale))
            if wanted:
                tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
                client.add_tags(ResourceArn=made.physical_id, Tags=tags)

    def delete(self, call: Call, old: Resource) -> None:
        """Delete<noun>."""
        client = call.client("sagemaker")
        getattr(client, f"delete_{_snake(self.noun)}")(**{self.name_property: old.name})

    def replaces(self, changed: Iterable[str]) -> bool:
        """Everything but tags."""
        return bool(set(changed) - {"Tags"})


class Model(_Named):
    """AWS::SageMaker::Model."""

    type = "AWS::SageMaker::Model"
    name_property = "ModelName"
    noun = "Model"


class EndpointConfig(_Named):
    """AWS::SageMaker::EndpointConfig."""

    type = "AWS::SageMaker::EndpointConfig"
    name_property = "EndpointConfigName"
    noun = "EndpointConfig"


class Endpoint(_Named):
    """AWS::SageMaker::Endpoint: done only when its containers answer; a failure's reason holds their log."""

    type = "AWS::SageMaker::Endpoint"
    name_property = "EndpointName"
    noun = "Endpoint"

    def create(self, call: Call) -> Made:
        """CreateEndpoint, then waits; an endpoint that fails is deleted again."""
        call.properties.read |= set(_ONLY_ON_UPDATE)
        made = super().create(call)
        if problem := _settled(call, made.attributes["EndpointName"])[1]:
            call.client("sagemaker").delete_endpoint(EndpointName=call.name)
            _gone(call, call.name)
            raise ResourceFailed(call.logical_id, problem)
        return made

    def update(self, call: Call, old: Resource) -> Made:
        """UpdateEndpoint in place, then waits; after a failure the old containers still serve."""
        client = call.client("sagemaker")
        self.configure(call, old.made, old)
        described = client.describe_endpoint(EndpointName=old.name)
        wanted = call.properties["EndpointConfigName"]
        arguments = {**call.arguments(client, "UpdateEndpoint"), "EndpointName": old.name}
        if described["EndpointConfigName"] != wanted:
            client.update_endpoint(**arguments)
            described, problem = _settled(call, old.name)
            if described["EndpointConfigName"] != wanted:
                raise ResourceFailed(call.logical_id, problem or "The endpoint kept its old configuration.")
        return old.made

    def delete(self, call: Call, old: Resource) -> None:
        """DeleteEndpoint, then waits until its containers are gone."""
        super().delete(call, old)
        _gone(call, old.name)

    def replaces(self, changed: Iterable[str]) -> bool:
        """Only the name."""
        return self.name_property in set(changed)


_ONLY_ON_UPDATE = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")
HANDLERS: tuple[Handler, ...] = (Model(), EndpointConfig(), Endpoint())


def _settled(call: Call, name: str) -> tuple[dict[str, Any], str | None]:
    """The endpoint once it is neither Creating nor Updating, and why it failed."""
    client, pause = call.client("sagemaker"), threading.Event()
    while True:
        described: dict[str, Any] = client.describe_endpoint(EndpointName=name)
        if described["EndpointStatus"] not in ("Creating", "Updating", "RollingBack"):
            failed = described["EndpointStatus"] == "Failed"
            reason = described.get("FailureReason")
            return described, (reason or "The endpoint failed.") if failed else reason
        pause.wait(_POLL_S)


def _gone(call: Call, name: str) -> None:
    client, pause = call.client("sagemaker"), threading.Event()
    while True:
        try:
            client.describe_endpoint(EndpointName=name)
        except client.exceptions.ClientError:
            return
        pause.wait(_POLL_S)


def _snake(noun: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in noun).lstrip("_")
