"""SageMaker's API as AWS answers it: checks moto leaves out, fields it drops, operations it lacks, processes behind it.

`attach` connects the processes; without it endpoints are InService and transform jobs Completed at once, as in plain
moto.
"""

from collections.abc import Callable
from typing import Any

from rerank_local.control.constraints import validate
from rerank_local.control.endpoints import Endpoints, Fleet, Refused
from rerank_local.control.transforms import Jobs, NameTaken, NotFound, Transforms
from rerank_local.data.values import JobView

endpoints = Endpoints()
transforms = Transforms()

_REQUESTS = "_rerank_requests"  # on moto's backend: what was asked for, by noun and name


def attach(fleet: Fleet | None, jobs: Jobs | None) -> None:
    """Puts processes behind endpoints and transform jobs; None takes them away again."""
    endpoints.fleet, transforms.jobs = fleet, jobs
    transforms.forget()


def job_changed(view: JobView) -> None:
    """What the data plane calls whenever a transform job moves on."""
    transforms.changed(view)


def install() -> None:
    """Replaces the operations below in moto's `SageMakerResponse`."""
    from moto.sagemaker.models import FakeEndpointConfig
    from moto.sagemaker.responses import SageMakerResponse

    FakeEndpointConfig.validate_production_variants = lambda self, variants: None  # a frozen list: ours is botocore's
    originals = {name: getattr(SageMakerResponse, name, None) for name in _OPERATIONS}
    for name, operation in _OPERATIONS.items():
        setattr(SageMakerResponse, name, _answering(operation, originals[name]))


def _answering(operation: Callable[..., Any], original: Any) -> Callable[[Any], Any]:
    from moto.core.responses import ActionResult, EmptyResult
    from moto.sagemaker.exceptions import ResourceInUseException, ResourceNotFound, ValidationError

    def method(self: Any) -> Any:
        shape = _operation_model(self).input_shape
        request = {name: value for name in shape.members if (value := self._get_param(name)) is not None}
        if problem := validate(shape, request):
            raise ValidationError(problem)
        try:
            answer = operation(self.sagemaker_backend, request, lambda: original(self).result)
        except NameTaken as error:
            raise ResourceInUseException(str(error)) from error
        except NotFound as error:
            raise ResourceNotFound(str(error)) from error
        except Refused as error:
            raise ValidationError(str(error)) from error
        if answer is None:
            return EmptyResult()
        members = _operation_model(self).output_shape.members
        return ActionResult({name: value for name, value in answer.items() if name in members and value is not None})

    return method


def _operation_model(response: Any) -> Any:
    from moto.core.utils import get_service_model

    return get_service_model("sagemaker").operation_model(response._get_action())


def _remember(backend: Any, noun: str, name: str, request: dict[str, Any]) -> None:
    if not hasattr(backend, _REQUESTS):
        setattr(backend, _REQUESTS, {})
    getattr(backend, _REQUESTS)[noun, name] = request


def _asked(backend: Any, noun: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = getattr(backend, _REQUESTS, {}).get((noun, name), {})
    return found


def _create_model(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    name = request["ModelName"]
    if name in backend._models:
        raise Refused(f'Cannot create already existing model "{backend._models[name].arn}".')
    answer = moto()
    backend._models[name].enable_network_isolation = bool(request.get("EnableNetworkIsolation", False))
    _remember(backend, "model", name, request)
    return answer


def _describe_model(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    return {**moto(), **_asked(backend, "model", request["ModelName"])}


def _create_endpoint_config(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    name = request["EndpointConfigName"]
    if name in backend.endpoint_configs:
        arn = backend.endpoint_configs[name].endpoint_config_arn
        raise Refused(f'Cannot create already existing endpoint configuration "{arn}".')
    for variant in [*request["ProductionVariants"], *request.get("ShadowProductionVariants", [])]:
        if not {"InstanceType", "InstancePools", "ServerlessConfig"} & set(variant):
            raise Refused(
                f"Variant {variant['VariantName']} needs one of InstanceType, InstancePools and ServerlessConfig."
            )
    answer = moto()
    _remember(backend, "endpoint-config", name, request)
    return answer


def _describe_endpoint_config(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    return {**moto(), **_asked(backend, "endpoint-config", request["EndpointConfigName"])}


def _create_endpoint(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    return {"EndpointArn": endpoints.create(backend, request).arn}


def _update_endpoint(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    return {"EndpointArn": endpoints.update(backend, request).arn}


def _delete_endpoint(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> None:
    endpoints.delete(backend, request["EndpointName"])


def _resize_endpoint(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    wanted = request["DesiredWeightsAndCapacities"]
    return {"EndpointArn": endpoints.resize(backend, request["EndpointName"], wanted).arn}


def _create_transform_job(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    name = request["TransformJobName"]

    def record() -> Any:
        moto()
        return backend.transform_jobs[name]

    arn = transforms.create(backend, request, record).arn
    _remember(backend, "transform-job", name, request)
    return {"TransformJobArn": arn}


def _describe_transform_job(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> Any:
    return {**moto(), **_asked(backend, "transform-job", request["TransformJobName"])}


def _stop_transform_job(backend: Any, request: dict[str, Any], moto: Callable[[], Any]) -> None:
    transforms.stop(backend, request["TransformJobName"])


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "create_model": _create_model,
    "describe_model": _describe_model,
    "create_endpoint_config": _create_endpoint_config,
    "describe_endpoint_config": _describe_endpoint_config,
    "create_endpoint": _create_endpoint,
    "update_endpoint": _update_endpoint,
    "delete_endpoint": _delete_endpoint,
    "update_endpoint_weights_and_capacities": _resize_endpoint,
    "create_transform_job": _create_transform_job,
    "describe_transform_job": _describe_transform_job,
    "stop_transform_job": _stop_transform_job,
}
