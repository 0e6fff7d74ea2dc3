"""What carries out one CloudFormation type: the `Handler`, and the values that travel between it and the engine."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rerank_local.control import loopback
from rerank_local.control.errors import TemplateError
from rerank_local.control.schema import schema


class Watched(dict[str, Any]):
    """Properties that remember which of them were read, so that what nobody reads is told, not lost in silence."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:  # overridden so that **unpacking goes through __getitem__
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        """As dict.get."""
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """As dict.pop."""
        self.read.add(key)
        return super().pop(key, *default)

    def items(self) -> Any:
        """As dict.items: everything counts as read."""
        self.read.update(super().keys())
        return super().items()

    def values(self) -> Any:
        """As dict.values: everything counts as read."""
        self.read.update(super().keys())
        return super().values()

    @property
    def unread(self) -> list[str]:
        """Names that nobody looked at."""
        return sorted(set(super().keys()) - self.read)


@dataclass(frozen=True, slots=True)
class Place:
    """The stack a resource belongs to."""

    stack_name: str
    stack_id: str
    region: str
    account: str = loopback.ACCOUNT
    partition: str = "aws"

    def client(self, service: str) -> Any:
        """A boto3 client in the stack's region."""
        return loopback.client(service, self.region)

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the stack's region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Made:
    """What a handler made: what Ref returns, what Fn::GetAtt returns, and anything the handler wants back later."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that exists: its resolved properties are what the next update is compared with."""

    logical_id: str
    type: str
    name: str
    properties: Mapping[str, Any]
    made: Made
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"

    @property
    def physical_id(self) -> str:
        """What Ref returns."""
        return self.made.physical_id


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a handler: properties are resolved and checked; `name` is the explicit name or a fresh one."""

    logical_id: str
    type: str
    name: str
    properties: Watched
    place: Place

    def client(self, service: str) -> Any:
        """A boto3 client in the stack's region."""
        return self.place.client(service)

    def arguments(self, client: Any, operation: str, *leave: str) -> dict[str, Any]:
        """The properties that the API operation takes under the same name, but for those in `leave`."""
        members = client.meta.service_model.operation_model(operation).input_shape.members
        arguments = pick(self.properties, members, leave)
        if "Tags" in arguments and members["Tags"].type_name == "map":
            arguments["Tags"] = {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}
        return arguments


class Handler:
    """Creates, updates and deletes resources of one type. Subclasses set `type` and override what applies."""

    type = ""
    name_property = ""

    def create(self, call: Call) -> Made:
        """Makes the bare resource, in one step that either happens or does not; an exception's text is the reason."""
        raise NotImplementedError

    def configure(self, call: Call, made: Made, old: Resource | None) -> None:
        """Brings the settings of an existing resource to `call.properties`; `old` is None right after `create`."""

    def update(self, call: Call, old: Resource) -> Made:
        """Brings `old` to `call.properties` in place."""
        self.configure(call, old.made, old)
        return old.made

    def delete(self, call: Call, old: Resource) -> None:
        """Deletes `old`; being gone already is no error."""
        raise NotImplementedError

    def attribute(self, resource: Resource, name: str) -> Any:
        """`Fn::GetAtt`.

        Raises:
            TemplateError: the type has no such attribute, or it is not known here.
        """
        if name in resource.made.attributes:
            return resource.made.attributes[name]
        raise TemplateError(
            f"Template error: resource {resource.logical_id} does not support attribute type {name} in Fn::GetAtt"
        )

    def replaces(self, changed: Iterable[str]) -> bool:
        """Whether a change of these top-level properties means a new resource."""
        known = schema(self.type)
        return any(name == self.name_property or (known is not None and known.replaces(name)) for name in changed)


def pick(properties: Mapping[str, Any], names: Iterable[str], leave: Iterable[str] = ()) -> dict[str, Any]:
    """Those of `names` that are present, but for those in `leave`."""
    wanted = set(names) - set(leave)
    return {name: properties[name] for name in properties if name in wanted}


def gone(error: Exception) -> bool:
    """Whether an error of an AWS API says that the thing does not exist (so deleting it is done)."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return False
    code, message = str(response["Error"].get("Code", "")), str(response["Error"].get("Message", "")).lower()
    words = ("does not exist", "could not find", "cannot find", "not found", "no scaling policy", "no scalable target")
    return "NotFound" in code or code.startswith("NoSuch") or any(word in message for word in words)
