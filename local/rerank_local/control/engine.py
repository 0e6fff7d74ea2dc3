"""Brings a stack from the resources it has to those of a template, and back again when that fails.

As CloudFormation does it: resources are made in dependency order; each is compared by its *resolved* properties, so a
replaced model reaches the endpoint config and the endpoint that refer to it; a replacement is made before the old one
goes; what is replaced or removed is deleted only after everything else worked; a failure undoes, in reverse, what was
done.
"""

import copy
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from rerank_local.control.errors import ResourceFailed, TemplateError
from rerank_local.control.handlers import handler_for
from rerank_local.control.handlers.base import Call, Place, Resource, Watched, gone
from rerank_local.control.intrinsics import holds, resolve
from rerank_local.control.naming import physical_name
from rerank_local.control.schema import schema
from rerank_local.control.scope import StackScope
from rerank_local.control.template import Template, creation_order

log = logging.getLogger(__name__)

_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."

Emit = Callable[[str, str, str, str, str | None], None]  # logical id, physical id, type, status, reason


class Verb(StrEnum):
    """What happens to a resource, as it stands in the stack's events."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that was done: created (no `before`), replaced, or changed in place."""

    before: Resource | None
    after: Resource
    in_place: bool = False


class Deployment:
    """One create or update of a stack.

    Attributes:
        resources: what exists, in creation order; changes as the work goes on.
    """

    def __init__(
        self, place: Place, resources: dict[str, Resource], template: Template, scope: StackScope, emit: Emit
    ) -> None:
        self.resources = resources
        self._before = dict(resources)
        self._place = place
        self._template = template
        self._scope = scope
        self._emit = emit
        self._done: list[_Step] = []
        self._obsolete: list[Resource] = []

    def apply(self) -> None:
        """Creates, updates and replaces; deletes nothing yet.

        Raises:
            ResourceFailed: one resource failed; `undo` takes back what was done, that one included.
        """
        wanted = [name for name in creation_order(self._template) if self._wanted(name)]
        for name in wanted:
            self._settle(name)
        self._obsolete += [resource for name, resource in self.resources.items() if name not in wanted]
        self._keep({name: self.resources[name] for name in wanted})

    def clean_up(self) -> None:
        """After success: deletes what was replaced or removed, in reverse order; a failure is told, not raised."""
        for resource in reversed(self._obsolete):
            replaced = resource.logical_id in self.resources
            policy = resource.replace_policy if replaced else resource.deletion_policy
            if policy.startswith("Retain"):
                self._leave(resource)
            else:
                delete_resource(resource, self._place, self._emit)

    def undo(self) -> list[str]:
        """Takes back what `apply` did, newest first; returns what could not be undone."""
        problems: list[str] = []
        for step in reversed(self._done):
            try:
                self._take_back(step)
            except Exception as error:
                problems.append(f"{step.after.logical_id}: {reason(error)}")
        touched = {step.after.logical_id for step in self._done}
        # Of what was not touched, the policies may be those of the template that failed: the old ones count again.
        untouched = {name: old for name, old in self._before.items() if name not in touched}
        in_order = {name: self.resources.get(name, old) for name, old in self._before.items()}
        self._keep({**in_order, **self.resources, **untouched})
        return problems

    def _keep(self, resources: dict[str, Resource]) -> None:
        self.resources.clear()
        self.resources.update(resources)

    def _wanted(self, name: str) -> bool:
        condition = self._template.resources[name].get("Condition")
        return condition is None or holds({"Condition": condition}, self._scope)

    def _settle(self, name: str) -> None:
        declared = self._template.resources[name]
        old = self.resources.get(name)
        try:
            if old is not None and old.type != declared["Type"]:
                raise TemplateError("Update of resource type is not permitted.")
            properties = self._properties(name, declared)
            if old is None:
                self._make(name, declared, properties, None)
            elif old.properties != properties:
                self._change(declared, properties, old)
            else:
                self.resources[name] = replace(old, **_policies(declared))
        except Exception as error:
            verb = Verb.CREATE if old is None else Verb.UPDATE
            physical = self.resources[name].physical_id if name in self.resources else ""
            self._emit(name, physical, declared["Type"], f"{verb}_FAILED", reason(error))
            log.debug("resource %s failed", name, exc_info=True)
            raise ResourceFailed(name, reason(error)) from error

    def _properties(self, name: str, declared: dict[str, Any]) -> dict[str, Any]:
        resolved: dict[str, Any] = resolve(declared.get("Properties", {}), self._scope)
        known = schema(declared["Type"])
        return known.checked(name, resolved) if known else resolved

    def _change(self, declared: dict[str, Any], properties: dict[str, Any], old: Resource) -> None:
        handler = handler_for(old.type)
        changed = {key for key in {*properties, *old.properties} if properties.get(key) != old.properties.get(key)}
        if not handler.replaces(changed):
            self._update(declared, properties, old)
            return
        name_property = handler.name_property
        if name_property and properties.get(name_property) == old.properties.get(name_property, ...):
            raise TemplateError(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {self._place.stack_name}/{old.name} and update the stack again."
            )
        self._make(old.logical_id, declared, properties, old)
        self._obsolete.append(old)

    def _make(self, name: str, declared: dict[str, Any], properties: dict[str, Any], old: Resource | None) -> None:
        kind, handler = declared["Type"], handler_for(declared["Type"])
        fresh = physical_name(kind, self._place.stack_name, name)
        chosen = str(properties.get(handler.name_property) or fresh)
        call = self._call(name, kind, chosen, properties)
        verb = Verb.CREATE if old is None else Verb.UPDATE
        self._emit(
            name, old.physical_id if old else "", kind, f"{verb}_IN_PROGRESS", None if old is None else _REPLACING
        )
        call.properties.read.add(handler.name_property)
        made = handler.create(call)
        resource = Resource(name, kind, chosen, properties, made, **_policies(declared))
        self.resources[name] = resource
        self._done.append(_Step(old, resource))
        handler.configure(call, made, None)
        self._emit(name, made.physical_id, kind, f"{verb}_COMPLETE", self._ignored(call))

    def _update(self, declared: dict[str, Any], properties: dict[str, Any], old: Resource) -> None:
        self._emit(old.logical_id, old.physical_id, old.type, f"{Verb.UPDATE}_IN_PROGRESS", None)
        call = self._call(old.logical_id, old.type, old.name, properties)
        resource = replace(old, properties=properties, **_policies(declared))
        self._done.append(_Step(old, resource, in_place=True))
        call.properties.read.add(handler_for(old.type).name_property)
        made = handler_for(old.type).update(call, old)
        self.resources[old.logical_id] = replace(resource, made=made)
        self._emit(old.logical_id, made.physical_id, old.type, f"{Verb.UPDATE}_COMPLETE", self._ignored(call))

    def _call(self, name: str, kind: str, physical: str, properties: Mapping[str, Any]) -> Call:
        return Call(name, kind, physical, Watched(copy.deepcopy(dict(properties))), self._place)

    def _ignored(self, call: Call) -> str | None:
        if not call.properties.unread:
            return None
        note = f"Not carried out by the AWS on this machine: {', '.join(call.properties.unread)}"
        log.warning("%s %s (%s): %s", self._place.stack_name, call.logical_id, call.type, note)
        return note

    def _take_back(self, step: _Step) -> None:
        before, after = step.before, step.after
        if before is None:
            del self.resources[after.logical_id]
            if after.deletion_policy in ("Retain", "Snapshot"):
                self._leave(after)
            else:
                self._drop(after)
        elif not step.in_place:
            self.resources[before.logical_id] = before
            self._drop(after)
        else:
            call = self._call(before.logical_id, before.type, before.name, before.properties)
            self._emit(before.logical_id, before.physical_id, before.type, f"{Verb.UPDATE}_IN_PROGRESS", None)
            made = handler_for(before.type).update(call, replace(after, made=self.resources[before.logical_id].made))
            self.resources[before.logical_id] = replace(before, made=made)
            self._emit(before.logical_id, made.physical_id, before.type, f"{Verb.UPDATE}_COMPLETE", None)

    def _leave(self, resource: Resource) -> None:
        self._emit(resource.logical_id, resource.physical_id, resource.type, f"{Verb.DELETE}_SKIPPED", None)

    def _drop(self, resource: Resource) -> None:
        if problem := delete_resource(resource, self._place, self._emit):
            raise ResourceFailed(resource.logical_id, problem)


def delete_resource(resource: Resource, place: Place, emit: Emit) -> str | None:
    """Deletes one resource and tells so; returns why it could not be deleted, or None."""

    def tell(status: str, why: str | None = None) -> None:
        emit(resource.logical_id, resource.physical_id, resource.type, f"{Verb.DELETE}_{status}", why)

    tell("IN_PROGRESS")
    call = Call(resource.logical_id, resource.type, resource.name, Watched(resource.properties), place)
    try:
        handler_for(resource.type).delete(call, resource)
    except Exception as error:
        if not gone(error):
            log.debug("deleting %s failed", resource.logical_id, exc_info=True)
            tell("FAILED", reason(error))
            return reason(error)
    tell("COMPLETE")
    return None


def reason(error: BaseException) -> str:
    """The text a person reads: AWS's message without botocore's wrapping."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return f"{response['Error'].get('Message', '')} (Service error: {response['Error'].get('Code', '')})"
    if isinstance(error, ResourceFailed):
        return error.reason
    return str(getattr(error, "message", None) or error) or type(error).__name__


def _policies(declared: dict[str, Any]) -> dict[str, Any]:
    return {
        "deletion_policy": declared.get("DeletionPolicy", "Delete"),
        "replace_policy": declared.get("UpdateReplacePolicy", "Delete"),
    }
