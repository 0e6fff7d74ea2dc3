"""Which CloudFormation types the AWS on this machine carries out, and how.

Types that matter here have a `Handler` that speaks the public API; any other type that moto's own CloudFormation knows
goes through `moto_model`, watched for properties it drops. Everything else is refused before a stack is touched.
"""

from collections.abc import Mapping
from functools import lru_cache

from rerank_local.control.errors import TemplateError, Unsupported
from rerank_local.control.handlers import cloudwatch, iam, kms, moto_model, s3, sagemaker, scaling, sns, storage
from rerank_local.control.handlers.base import Handler
from rerank_local.control.schema import schema

_MODULES = (cloudwatch, iam, kms, s3, sagemaker, scaling, sns, storage)
_OWN: dict[str, Handler] = {handler.type: handler for module in _MODULES for handler in module.HANDLERS}


@lru_cache
def handler_for(resource_type: str) -> Handler:
    """What carries out `resource_type`.

    Raises:
        TemplateError: CloudFormation has no such type.
        Unsupported: it has, the AWS on this machine has not.
    """
    if resource_type in _OWN:
        return _OWN[resource_type]
    if (model := moto_model.find(resource_type)) is not None:
        return model
    custom = resource_type.startswith("Custom::") or resource_type == "AWS::CloudFormation::CustomResource"
    if custom:
        raise Unsupported(
            f"{resource_type} is a custom resource: its Lambda function cannot run on this machine. "
            "Leave it out of local deployments."
        )
    if schema(resource_type) is None:
        raise TemplateError(f"Template format error: Unrecognized resource types: [{resource_type}]")
    raise Unsupported(f"The AWS on this machine does not carry out {resource_type}; it would be missing without a word")


def check_types(types: Mapping[str, str]) -> None:
    """Refuses a template (logical id → type) before anything of it is created; the error names every resource."""
    problems = []
    for name, resource_type in types.items():
        try:
            handler_for(resource_type)
        except TemplateError as error:
            problems.append((name, error))
    if problems:
        listed = "; ".join(f"{error} (resource {name})" for name, error in problems)
        raise type(problems[0][1])(listed)


def replaces(resource_type: str, property_name: str) -> bool:
    """Whether changing one top-level property of a type means a new resource."""
    return handler_for(resource_type).replaces([property_name])


def supported() -> list[str]:
    """The types with a handler of their own."""
    return sorted(_OWN)
