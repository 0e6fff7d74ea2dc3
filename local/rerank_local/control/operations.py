"""What CloudFormation's API does to stacks: create, update, delete, change sets, exports and imports."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from rerank_local.control import background
from rerank_local.control.engine import Deployment, delete_resource, reason
from rerank_local.control.errors import ControlError, ExportInUse, ResourceFailed, StackExists, TemplateError
from rerank_local.control.handlers import check_types, replaces
from rerank_local.control.handlers.base import Place
from rerank_local.control.intrinsics import holds, resolve
from rerank_local.control.parameters import Parameters, check_rules, settle
from rerank_local.control.preview import changes
from rerank_local.control.scope import StackScope, ssm_value
from rerank_local.control.stacks import ChangeSet, Output, Stack, Store, now
from rerank_local.control.template import Template, parse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What CreateStack, UpdateStack and CreateChangeSet have in common."""

    stack_name: str
    template: str
    parameters: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str] | None
    options: Mapping[str, Any]


class Operations:
    """The stacks of one region and what can be done to them."""

    def __init__(self, region: str, partition: str = "aws") -> None:
        self.store = Store()
        self._region = region
        self._partition = partition

    # Stacks

    def create(self, request: Request) -> Stack:
        """CreateStack: returns when done, or after a while with the work going on."""
        self._refuse_existing(request.stack_name)
        place = self._place(request.stack_name)
        template, parameters = self._settle(request, place, {})
        stack = Stack(request.stack_name, place, "CREATE_IN_PROGRESS")
        stack.tags, stack.options = dict(request.tags or {}), dict(request.options)
        stack.termination_protection = bool(request.options.get("EnableTerminationProtection"))
        self.store.stacks[place.stack_id] = stack
        self._start(stack, "CREATE", template, parameters)
        return stack

    def update(self, request: Request) -> Stack:
        """UpdateStack.

        Raises:
            TemplateError: nothing would change, or the stack cannot be updated in its present state.
        """
        stack = self.store.find(request.stack_name)
        self._refuse_busy(stack)
        template, parameters = self._settle(request, stack.place, stack.parameters.given)
        tags = stack.tags if request.tags is None else dict(request.tags)
        same_template = stack.template is not None and stack.template.same_as(template)
        if same_template and stack.parameters == parameters and stack.tags == tags:
            raise TemplateError("No updates are to be performed.")
        stack.tags, stack.options = tags, {**stack.options, **request.options}
        self._start(stack, "UPDATE", template, parameters)
        return stack

    def delete(self, name_or_id: str, *, retain: Collection[str] = ()) -> None:
        """DeleteStack: resources go in reverse order of their creation; unknown and deleted stacks are fine.

        Args:
            retain: logical ids that stay, of a stack whose deletion failed before.

        Raises:
            ControlError: termination protection is on, another stack imports an export, or the stack is busy.
        """
        try:
            stack = self.store.find(name_or_id)
        except ControlError:
            return
        if not stack.live:
            return
        if stack.termination_protection:
            raise TemplateError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.status.endswith("IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise TemplateError(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        if retain and stack.status != "DELETE_FAILED":
            raise TemplateError("RetainResources may only be given for a stack in DELETE_FAILED state")
        for output in stack.outputs:
            self._refuse_in_use(stack, output, "deleted")
        stack.enter("DELETE_IN_PROGRESS", "User Initiated")
        self._run(stack, "DELETE", lambda: self._delete(stack, retain))

    # Change sets

    def create_change_set(self, request: Request, name: str, kind: str) -> ChangeSet:
        """CreateChangeSet, of kind CREATE or UPDATE."""
        stack = self._stack_for(request, kind)
        template, parameters = self._settle(request, stack.place, stack.parameters.given)
        before = stack.parameters.values
        changed = {key for key, value in parameters.values.items() if before.get(key) != value}
        change_set = ChangeSet(
            name=name,
            id=stack.place.arn("cloudformation", f"changeSet/{name}/{uuid4()}"),
            kind=kind,
            stack=stack,
            template=template,
            parameters=parameters,
            tags=dict(request.tags or {}),
            changes=changes(stack.template, template, changed if stack.template else set(), replaces),
            options=dict(request.options),
        )
        self.store.change_sets[change_set.id] = change_set
        return change_set

    def execute_change_set(self, name: str, stack_name: str | None, *, disable_rollback: bool = False) -> None:
        """ExecuteChangeSet: returns when done, or after a while with the work going on."""
        change_set = self.store.find_change_set(name, stack_name)
        if change_set.is_empty:
            raise TemplateError(f"ChangeSet [{change_set.id}] cannot be executed in its current status of [FAILED]")
        stack = change_set.stack
        self._refuse_busy(stack, allowed="REVIEW_IN_PROGRESS")
        for other in [key for key, item in self.store.change_sets.items() if item.stack is stack]:
            del self.store.change_sets[other]  # AWS drops them all: the others were made for another state
        stack.tags = dict(change_set.tags)
        stack.options = {**change_set.options, "DisableRollback": disable_rollback}
        self._start(stack, change_set.kind, change_set.template, change_set.parameters)

    def delete_change_set(self, name: str, stack_name: str | None) -> None:
        """DeleteChangeSet; an unknown one is fine. A stack that was only planned stays in review, as on AWS."""
        try:
            change_set = self.store.find_change_set(name, stack_name)
        except ControlError:
            return
        del self.store.change_sets[change_set.id]

    # How

    def _start(self, stack: Stack, verb: str, template: Template, parameters: Parameters) -> None:
        scope = StackScope(stack.place, template, parameters.values, stack.resources, self.store.exports)
        check_rules(template, scope)
        stack.enter(f"{verb}_IN_PROGRESS", "User Initiated")
        if verb == "UPDATE":
            stack.updated = now()
        deployment = Deployment(stack.place, stack.resources, template, scope, stack.emit)
        self._run(stack, verb, lambda: self._deploy(stack, verb, deployment, template, parameters, scope))

    def _run(self, stack: Stack, verb: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # a fault of ours must not leave the stack in progress for ever
                log.exception("stack %s", stack.name)
                stack.enter(f"{verb}_FAILED", f"Internal error: {reason(error)}")

        background.run(guarded, f"{verb.lower()} {stack.name}")

    def _deploy(
        self,
        stack: Stack,
        verb: str,
        deployment: Deployment,
        template: Template,
        parameters: Parameters,
        scope: StackScope,
    ) -> None:
        try:
            deployment.apply()
            outputs = _outputs(template, scope)
            self._check_exports(stack, outputs)
        except Exception as error:
            if stack.template is None:
                stack.template, stack.parameters = template, parameters
            self._fail(stack, verb, deployment, error)
            return
        stack.template, stack.parameters = template, parameters
        stack.outputs, stack.imported = outputs, scope.imported
        if verb == "UPDATE":
            stack.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        deployment.clean_up()
        stack.enter(f"{verb}_COMPLETE")

    def _fail(self, stack: Stack, verb: str, deployment: Deployment, error: Exception) -> None:
        if isinstance(error, ResourceFailed):
            why = f"The following resource(s) failed to {verb.lower()}: [{error.logical_id}]. {error.reason}"
        else:
            why = reason(error)
            log.debug("stack %s failed", stack.name, exc_info=error)
        log.error("stack %s: %s", stack.name, why)
        if stack.options.get("DisableRollback"):
            stack.enter(f"{verb}_FAILED", why)
            return
        prefix = "ROLLBACK" if verb == "CREATE" else "UPDATE_ROLLBACK"
        stack.enter(f"{prefix}_IN_PROGRESS", why)
        problems = deployment.undo()
        if problems:
            stack.enter(f"{prefix}_FAILED", f"{why} | The rollback failed: {'; '.join(problems)}")
        else:
            stack.enter(f"{prefix}_COMPLETE", why)

    def _delete(self, stack: Stack, retain: Collection[str]) -> None:
        problems = []
        for resource in reversed(list(stack.resources.values())):
            if resource.deletion_policy.startswith("Retain") or resource.logical_id in retain:
                stack.emit(resource.logical_id, resource.physical_id, resource.type, "DELETE_SKIPPED")
            elif problem := delete_resource(resource, stack.place, stack.emit):
                problems.append(f"{resource.logical_id}: {problem}")
                continue
            del stack.resources[resource.logical_id]
        if problems:
            stack.enter("DELETE_FAILED", f"The following resource(s) failed to delete: {'; '.join(problems)}")
            return
        stack.outputs, stack.imported = [], set()
        stack.deleted = now()
        stack.enter("DELETE_COMPLETE")

    def _settle(self, request: Request, place: Place, previous: Mapping[str, str]) -> tuple[Template, Parameters]:
        template = parse(request.template)
        check_types({name: item["Type"] for name, item in template.resources.items()})
        return template, settle(template, request.parameters, previous, lambda name: ssm_value(place, name))

    def _place(self, name: str) -> Place:
        place = Place(name, "", self._region, partition=self._partition)
        return replace(place, stack_id=place.arn("cloudformation", f"stack/{name}/{uuid4()}"))

    def _stack_for(self, request: Request, kind: str) -> Stack:
        if kind == "UPDATE":
            stack = self.store.find(request.stack_name)
            self._refuse_busy(stack)
            return stack
        if kind != "CREATE":
            raise TemplateError(f"Change sets of type {kind} are not carried out by the AWS on this machine")
        self._refuse_existing(request.stack_name, allowed="REVIEW_IN_PROGRESS")
        for stack in self.store.stacks.values():
            if stack.name == request.stack_name and stack.live:
                return stack
        place = self._place(request.stack_name)
        stack = Stack(request.stack_name, place, "REVIEW_IN_PROGRESS")
        stack.enter("REVIEW_IN_PROGRESS", "User Initiated")
        self.store.stacks[place.stack_id] = stack
        return stack

    def _refuse_existing(self, name: str, allowed: str = "") -> None:
        if any(stack.name == name and stack.live and stack.status != allowed for stack in self.store.stacks.values()):
            raise StackExists(name)

    def _refuse_busy(self, stack: Stack, allowed: str = "") -> None:
        final = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
        busy = stack.status.endswith("IN_PROGRESS") or stack.status in final or not stack.live
        if busy and stack.status != allowed:
            raise TemplateError(f"Stack:{stack.place.stack_id} is in {stack.status} state and can not be updated.")

    def _check_exports(self, stack: Stack, outputs: Sequence[Output]) -> None:
        taken = self.store.exporters()
        fresh = {output.export: output for output in outputs if output.export}
        for name in fresh:
            if name in taken and taken[name][1] is not stack:
                raise TemplateError(f"Export with name {name} is already exported by stack {taken[name][1].name}.")
        for output in stack.outputs:
            if output.export and fresh.get(output.export, output).value != output.value:
                self._refuse_in_use(stack, output, "updated")
            elif output.export not in fresh:
                self._refuse_in_use(stack, output, "deleted")

    def _refuse_in_use(self, stack: Stack, output: Output, verb: str) -> None:
        importers = [name for name in self.store.importers(output.export or "") if name != stack.name]
        if output.export and importers:
            raise ExportInUse(f"Export {output.export} cannot be {verb} as it is in use by {', '.join(importers)}")


def _outputs(template: Template, scope: StackScope) -> list[Output]:
    outputs = []
    for key, declared in template.outputs.items():
        if "Condition" in declared and not holds({"Condition": declared["Condition"]}, scope):
            continue
        value = resolve(declared["Value"], scope)
        if isinstance(value, (dict, list)):
            raise TemplateError(f"Template format error: Output {key} must resolve to a string, got {value!r}")
        export = declared.get("Export", {}).get("Name")
        name = str(resolve(export, scope)) if export is not None else None
        outputs.append(Output(key, str(value), declared.get("Description"), name))
    return outputs
