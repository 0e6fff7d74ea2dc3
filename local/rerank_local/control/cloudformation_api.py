"""CloudFormation's API on our engine: replaces the stack operations of moto's `CloudFormationResponse`.

moto keeps the wire format, the routing and the resets; the stacks are ours. Operations on stack sets and stack policies
are refused by name.
"""

import functools
from collections.abc import Callable
from typing import Any

from rerank_local.control.errors import ChangeSetNotFound, ControlError, StackExists, Unsupported
from rerank_local.control.operations import Operations, Request
from rerank_local.control.stacks import Stack
from rerank_local.control.template_url import read_template

_OPTIONS = (
    "Capabilities",
    "DisableRollback",
    "EnableTerminationProtection",
    "NotificationARNs",
    "OnFailure",
    "RoleARN",
)
# What an answer that leaves it out would hide: refused when it is asked for. ImportExistingResources is not among them:
# `cdk bootstrap` always sets it, and where a resource does exist already, creating it fails aloud.
_REFUSED_OPTIONS = (
    "DeploymentMode",
    "ResourcesToImport",
    "RollbackConfiguration",
    "StackPolicyBody",
    "StackPolicyURL",
)
_ATTRIBUTE = "_rerank_operations"  # on moto's backend, so that moto's reset forgets the stacks too


def install() -> None:
    """Puts the operations below in place of moto's."""
    from moto.cloudformation.responses import CloudFormationResponse

    for name, operation in _OPERATIONS.items():
        setattr(CloudFormationResponse, name, _answering(operation))
    for name in _REFUSED:
        setattr(CloudFormationResponse, name, _answering(_refuse))
    CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER = {}  # they reshape moto's objects; ours are API-shaped


def operations_of(backend: Any) -> Operations:
    """The stacks of a moto backend (one region)."""
    if not hasattr(backend, _ATTRIBUTE):
        setattr(backend, _ATTRIBUTE, Operations(backend.region_name, backend.partition))
    found: Operations = getattr(backend, _ATTRIBUTE)
    return found


def _answering(operation: Callable[[Any, Operations], Any]) -> Callable[[Any], Any]:
    """A method of moto's response class: errors become AWS's codes, dictionaries become answers."""
    from moto.cloudformation.exceptions import CloudFormationError
    from moto.core.responses import ActionResult, EmptyResult

    @functools.wraps(operation)
    def method(self: Any) -> Any:
        try:
            answer = operation(self, operations_of(self.cloudformation_backend))
        except ChangeSetNotFound as error:
            raise CloudFormationError("ChangeSetNotFoundException", str(error)) from error
        except StackExists as error:
            raise CloudFormationError("AlreadyExistsException", str(error)) from error
        except ControlError as error:
            raise CloudFormationError("ValidationError", str(error)) from error
        return EmptyResult() if answer is None else ActionResult(answer)

    return method


def _request(response: Any, previous: Callable[[], Stack] | None = None) -> Request:
    parameter = response._get_param
    body = parameter("TemplateBody")
    if not body and parameter("TemplateURL"):
        body = read_template(parameter("TemplateURL"), response.region)
    if not body and previous is not None and response._get_bool_param("UsePreviousTemplate", False):
        template = previous().template
        body = template.body if template else None
    if not body:
        raise ControlError("Either Template URL or Template Body must be specified.")
    for name in _REFUSED_OPTIONS:
        if _asked_for(parameter(name)):
            raise Unsupported(f"{name} is not carried out by the AWS on this machine")
    options = {name: parameter(name) for name in _OPTIONS if parameter(name) is not None}
    on_failure = options.pop("OnFailure", "ROLLBACK")
    if on_failure == "DELETE":
        raise Unsupported("OnFailure DELETE is not carried out by the AWS on this machine")
    options["DisableRollback"] = on_failure == "DO_NOTHING" or _asked_for(options.get("DisableRollback"))
    tags = parameter("Tags")
    return Request(
        stack_name=parameter("StackName"),
        template=body,
        parameters=parameter("Parameters") or [],
        tags=None if tags is None else {tag["Key"]: tag["Value"] for tag in tags},
        options=options,
    )


def _asked_for(value: Any) -> bool:
    """Whether an option is on; the CLI sends the ones that are off as well, as text."""
    if isinstance(value, dict):
        return any(value.values())
    return bool(value) and value != "false"


def _create_stack(response: Any, operations: Operations) -> dict[str, Any]:
    return {"StackId": operations.create(_request(response)).place.stack_id}


def _update_stack(response: Any, operations: Operations) -> dict[str, Any]:
    request = _request(response, lambda: operations.store.find(response._get_param("StackName")))
    return {"StackId": operations.update(request).place.stack_id}


def _delete_stack(response: Any, operations: Operations) -> None:
    if response._get_param("DeletionMode") == "FORCE_DELETE_STACK":
        raise Unsupported("DeletionMode FORCE_DELETE_STACK is not carried out by the AWS on this machine")
    operations.delete(response._get_param("StackName"), retain=response._get_param("RetainResources") or ())


def _create_change_set(response: Any, operations: Operations) -> dict[str, Any]:
    request = _request(response, lambda: operations.store.find(response._get_param("StackName")))
    kind = response._get_param("ChangeSetType") or "UPDATE"
    change_set = operations.create_change_set(request, response._get_param("ChangeSetName"), kind)
    return {"Id": change_set.id, "StackId": change_set.stack.place.stack_id}


def _describe_change_set(response: Any, operations: Operations) -> dict[str, Any]:
    found = operations.store.find_change_set(response._get_param("ChangeSetName"), response._get_param("StackName"))
    return found.describe()


def _execute_change_set(response: Any, operations: Operations) -> None:
    operations.execute_change_set(
        response._get_param("ChangeSetName"),
        response._get_param("StackName"),
        disable_rollback=bool(response._get_bool_param("DisableRollback", False)),
    )


def _delete_change_set(response: Any, operations: Operations) -> None:
    operations.delete_change_set(response._get_param("ChangeSetName"), response._get_param("StackName"))


def _list_change_sets(response: Any, operations: Operations) -> dict[str, Any]:
    stack = operations.store.find(response._get_param("StackName"))
    mine = [item.describe() for item in operations.store.change_sets.values() if item.stack is stack]
    return {"Summaries": mine}


def _describe_stacks(response: Any, operations: Operations) -> dict[str, Any]:
    name = response._get_param("StackName")
    stacks = [operations.store.find(name)] if name else [item for item in operations.store.stacks.values() if item.live]
    return {"Stacks": [stack.describe() for stack in stacks]}


def _list_stacks(response: Any, operations: Operations) -> dict[str, Any]:
    wanted = response._get_param("StackStatusFilter") or []
    stacks = [stack for stack in operations.store.stacks.values() if not wanted or stack.status in wanted]
    return {"StackSummaries": [stack.describe() for stack in stacks]}


def _describe_stack_resources(response: Any, operations: Operations) -> dict[str, Any]:
    logical_id = response._get_param("LogicalResourceId")
    resources = operations.store.find(response._get_param("StackName")).describe_resources()
    return {"StackResources": [item for item in resources if logical_id in (None, item["LogicalResourceId"])]}


def _describe_stack_resource(response: Any, operations: Operations) -> dict[str, Any]:
    name, logical_id = response._get_param("StackName"), response._get_param("LogicalResourceId")
    for item in operations.store.find(name).describe_resources():
        if item["LogicalResourceId"] == logical_id:
            return {"StackResourceDetail": item}
    raise ControlError(f"Resource {logical_id} does not exist for stack {name}")


def _list_stack_resources(response: Any, operations: Operations) -> dict[str, Any]:
    return {"StackResourceSummaries": operations.store.find(response._get_param("StackName")).describe_resources()}


def _describe_stack_events(response: Any, operations: Operations) -> dict[str, Any]:
    return {"StackEvents": operations.store.find(response._get_param("StackName")).events[::-1]}


def _get_template(response: Any, operations: Operations) -> dict[str, Any]:
    stack_name, change_set = response._get_param("StackName"), response._get_param("ChangeSetName")
    if change_set:
        template = operations.store.find_change_set(change_set, stack_name).template
        return {"TemplateBody": template.body}
    found = operations.store.find(stack_name).template
    return {"TemplateBody": found.body if found else "{}"}


def _list_exports(response: Any, operations: Operations) -> dict[str, Any]:
    exporters = operations.store.exporters().items()
    return {
        "Exports": [
            {"ExportingStackId": stack.place.stack_id, "Name": name, "Value": output.value}
            for name, (output, stack) in exporters
        ]
    }


def _list_imports(response: Any, operations: Operations) -> dict[str, Any]:
    name = response._get_param("ExportName")
    importers = operations.store.importers(name)
    if not importers:
        raise ControlError(f"Export '{name}' is not imported by any stack.")
    return {"Imports": importers}


def _update_termination_protection(response: Any, operations: Operations) -> dict[str, Any]:
    stack = operations.store.find(response._get_param("StackName"))
    stack.termination_protection = bool(response._get_bool_param("EnableTerminationProtection", False))
    return {"StackId": stack.place.stack_id}


def _refuse(response: Any, operations: Operations) -> None:
    raise ControlError(f"{response._get_action()} is not carried out by the AWS on this machine")


_OPERATIONS: dict[str, Callable[[Any, Operations], Any]] = {
    "create_stack": _create_stack,
    "update_stack": _update_stack,
    "delete_stack": _delete_stack,
    "create_change_set": _create_change_set,
    "describe_change_set": _describe_change_set,
    "execute_change_set": _execute_change_set,
    "delete_change_set": _delete_change_set,
    "list_change_sets": _list_change_sets,
    "describe_stacks": _describe_stacks,
    "list_stacks": _list_stacks,
    "describe_stack_resources": _describe_stack_resources,
    "describe_stack_resource": _describe_stack_resource,
    "list_stack_resources": _list_stack_resources,
    "describe_stack_events": _describe_stack_events,
    "get_template": _get_template,
    "list_exports": _list_exports,
    "list_imports": _list_imports,
    "update_termination_protection": _update_termination_protection,
}
_REFUSED = (
    "cancel_update_stack",
    "continue_update_rollback",
    "create_stack_instances",
    "create_stack_set",
    "describe_stack_set",
    "get_stack_policy",
    "rollback_stack",
    "set_stack_policy",
    "update_stack_set",
)
