"""Resolves the references of one stack: parameters, conditions, mappings, resources, exports of other stacks."""

from collections.abc import Callable, Mapping
from typing import Any

from rerank_local.control.errors import TemplateError
from rerank_local.control.handlers import handler_for
from rerank_local.control.handlers.base import Place, Resource
from rerank_local.control.intrinsics import NO_VALUE, holds
from rerank_local.control.template import Template


class StackScope:
    """`intrinsics.Scope` of a stack while it is being deployed.

    Attributes:
        imported: names of exports that were asked for so far; they bind this stack to the exporting one.
    """

    def __init__(
        self,
        place: Place,
        template: Template,
        parameters: Mapping[str, Any],
        resources: Mapping[str, Resource],
        exports: Callable[[], Mapping[str, str]],
    ) -> None:
        self.region = place.region
        self.imported: set[str] = set()
        self._place = place
        self._template = template
        self._parameters = parameters
        self._resources = resources
        self._exports = exports
        self._conditions: dict[str, bool] = {}
        self._pseudo = {
            "AWS::AccountId": place.account,
            "AWS::NotificationARNs": [],
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackId": place.stack_id,
            "AWS::StackName": place.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def ref(self, name: str) -> Any:
        """Parameter, pseudo parameter, or a resource's physical id."""
        for values in (self._pseudo, self._parameters):
            if name in values:
                return values[name]
        return self._resource(name, "Ref").physical_id

    def attribute(self, name: str, attribute: str) -> Any:
        """`Fn::GetAtt`."""
        resource = self._resource(name, "Fn::GetAtt")
        return handler_for(resource.type).attribute(resource, attribute)

    def condition(self, name: str) -> bool:
        """A named condition, evaluated once."""
        if name not in self._conditions:
            if name not in self._template.conditions:
                raise TemplateError(f"Template format error: Unresolved condition dependency {name}")
            self._conditions[name] = holds(self._template.conditions[name], self)
        return self._conditions[name]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A table of the Mappings section."""
        if name not in self._template.mappings:
            raise TemplateError(f"Template error: mapping {name} does not exist")
        table: Mapping[str, Any] = self._template.mappings[name]
        return table

    def exported(self, name: str) -> str:
        """`Fn::ImportValue`; remembered in `imported`."""
        exports = self._exports()
        if name not in exports:
            raise TemplateError(f"No export named {name} found.")
        self.imported.add(name)
        return exports[name]

    def parameter_store(self, name: str) -> str:
        """A value of the SSM parameter store."""
        return ssm_value(self._place, name)

    def _resource(self, name: str, function: str) -> Resource:
        if name not in self._resources:
            raise TemplateError(f"Template error: instance of {function} references undefined resource {name}")
        return self._resources[name]


def ssm_value(place: Place, name: str) -> str:
    """Value of an SSM parameter.

    Raises:
        TemplateError: there is none; CloudFormation's own words.
    """
    client = place.client("ssm")
    try:
        value: str = client.get_parameter(Name=name)["Parameter"]["Value"]
    except client.exceptions.ParameterNotFound as error:
        raise TemplateError(f"Unable to fetch parameters [{name}] from parameter store for this account.") from error
    return value
