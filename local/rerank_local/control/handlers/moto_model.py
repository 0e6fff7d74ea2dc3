"""Types that only moto's own CloudFormation models know: carried out by those models, and watched.

moto's models drop properties without a word; the engine reports those they never read. Updates are what moto makes
of them.
"""

import copy
from functools import lru_cache
from typing import Any

from rerank_local.control.errors import TemplateError, Unsupported
from rerank_local.control.handlers.base import Call, Handler, Made, Resource

# moto knows these, yet they would only pretend: nested stacks bypass our engine.
_REFUSED = frozenset({"AWS::CloudFormation::Stack"})


class MotoModel(Handler):
    """One of moto's CloudFormation models as a handler; the payload is moto's object."""

    def __init__(self, resource_type: str, model: Any) -> None:
        self.type = resource_type
        self.name_property = model.cloudformation_name_type() or ""
        self._model = model

    def create(self, call: Call) -> Made:
        """Creates moto's object."""
        made = self._model.create_from_cloudformation_json(
            call.name,
            self._declared(call),
            call.place.account,
            call.place.region,
            LogicalId=call.logical_id,
            StackId=call.place.stack_id,
            ResourceType=call.type,
        )
        return self._made(made, call.name)

    def update(self, call: Call, old: Resource) -> Made:
        """Updates moto's object, where its model can."""
        update = self._model.update_from_cloudformation_json
        if hasattr(update, "__isabstractmethod__"):
            raise Unsupported(f"The AWS on this machine cannot update {self.type} in place")
        made = update(
            original_resource=old.made.payload,
            new_resource_name=call.name,
            cloudformation_json=self._declared(call),
            account_id=call.place.account,
            region_name=call.place.region,
        )
        return self._made(made, call.name)

    def delete(self, call: Call, old: Resource) -> None:
        """Deletes moto's object."""
        account, region = call.place.account, call.place.region
        if callable(getattr(old.made.payload, "delete", None)):
            try:
                old.made.payload.delete(account, region)
                return
            except TypeError:  # some models' `delete` means something else and takes other arguments
                pass
        delete = self._model.delete_from_cloudformation_json
        if hasattr(delete, "__isabstractmethod__"):
            raise Unsupported(f"The AWS on this machine cannot delete {self.type}")
        declared = {"Type": self.type, "Properties": copy.deepcopy(dict(old.properties))}
        delete(old.physical_id, declared, account, region)

    def attribute(self, resource: Resource, name: str) -> Any:
        """Asks moto's object."""
        try:
            value = resource.made.payload.get_cfn_attribute(name)
        except Exception as error:
            raise TemplateError(
                f"Template error: resource {resource.logical_id} does not support attribute type {name} in Fn::GetAtt"
            ) from error
        if value is None:
            raise TemplateError(f"The AWS on this machine does not know {resource.logical_id}.{name}")
        return value

    def _declared(self, call: Call) -> dict[str, Any]:
        return {"Type": self.type, "Properties": call.properties}

    def _made(self, moto_object: Any, name: str) -> Made:
        physical_id = getattr(moto_object, "physical_resource_id", None)  # some models have none: then Ref is the name
        return Made(physical_id if isinstance(physical_id, str) else name, payload=moto_object)


def find(resource_type: str) -> MotoModel | None:
    """moto's model of a type; None when it has none that is fit for use."""
    model = None if resource_type in _REFUSED else _models().get(resource_type)
    return MotoModel(resource_type, model) if model is not None else None


@lru_cache
def _models() -> dict[str, Any]:
    from moto.cloudformation.parsing import get_model_map

    return dict(get_model_map())
