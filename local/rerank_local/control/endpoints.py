"""Endpoints: their states as AWS shows them, and the processes behind them.

Create and update answer at once with Creating or Updating; the containers start in the background (at once under
`mock_aws`). A failed update leaves the old containers in service, with the reason in FailureReason.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from rerank_local.control import background, variants
from rerank_local.data.errors import DataPlaneError
from rerank_local.data.values import ModelSpec, VariantSpec

log = logging.getLogger(__name__)

STARTUP_TIMEOUT_S = 240.0  # SageMaker's default window for the first healthy /ping


class Fleet(Protocol):
    """The processes behind endpoints: `data.endpoints.EndpointFleet`, or a double in tests."""

    def start(self, endpoint_name: str, variants: Sequence[VariantSpec], startup_timeout_s: float = ...) -> None:
        """Blocks until every variant answers; raises DataPlaneError with the reason."""

    def stop(self, name: str) -> None:
        """Stops an endpoint; unknown names are fine."""

    def set_weights(self, name: str, weights: Mapping[str, float]) -> None:
        """Shares of the traffic."""


class Refused(Exception):
    """A request that SageMaker answers with ValidationException."""


class Endpoints:
    """What SageMaker does to endpoints, on moto's records; `backend` is moto's SageMakerModelBackend of one region."""

    def __init__(self) -> None:
        self.fleet: Fleet | None = None

    def create(self, backend: Any, request: Mapping[str, Any]) -> Any:
        """CreateEndpoint; moto's endpoint, Creating or InService."""
        name = request["EndpointName"]
        if name in backend.endpoints:
            raise Refused(f'Cannot create already existing endpoint "{backend.endpoints[name].arn}".')
        config = _config(backend, request["EndpointConfigName"])
        endpoint = backend.create_endpoint(name, config["EndpointConfigName"], request.get("Tags") or [])
        endpoint.production_variants = variants.started(config["ProductionVariants"], _images(backend))
        endpoint.data_capture_config = _capture(config)
        endpoint.last_deployment_config = request.get("DeploymentConfig")
        endpoint.endpoint_status = "Creating"

        def work() -> None:
            problem = self._start(backend, name, config)
            _finish(endpoint, "Failed" if problem else "InService", problem)

        background.run(work, f"create endpoint {name}", patience_s=0.0)
        return endpoint

    def update(self, backend: Any, request: Mapping[str, Any]) -> Any:
        """UpdateEndpoint, blue/green; moto's endpoint, Updating or InService."""
        endpoint = _settled(backend, request["EndpointName"])
        if endpoint.endpoint_status != "InService":
            raise Refused(f'Cannot update endpoint "{endpoint.arn}" in status {endpoint.endpoint_status}.')
        config = _config(backend, request["EndpointConfigName"])
        new = variants.started(config["ProductionVariants"], _images(backend))
        if request.get("RetainAllVariantProperties"):
            excluded = [item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties") or []]
            new = variants.retained(new, endpoint.production_variants, excluded)
        endpoint.endpoint_status = "Updating"

        def work() -> None:
            problem = self._start(backend, endpoint.endpoint_name, config)
            if problem is None:
                endpoint.endpoint_config_name = config["EndpointConfigName"]
                endpoint.production_variants = new
                endpoint.data_capture_config = _capture(config)
                if not request.get("RetainDeploymentConfig"):
                    endpoint.last_deployment_config = request.get("DeploymentConfig")
                self._share(endpoint)
            _finish(endpoint, "InService", problem)

        background.run(work, f"update endpoint {endpoint.endpoint_name}", patience_s=0.0)
        return endpoint

    def delete(self, backend: Any, name: str) -> None:
        """DeleteEndpoint: Deleting while the containers drain, then gone."""
        endpoint = _settled(backend, name)
        endpoint.endpoint_status = "Deleting"

        def work() -> None:
            try:
                if self.fleet is not None:
                    self.fleet.stop(name)
            finally:
                backend.endpoints.pop(name, None)

        background.run(work, f"delete endpoint {name}", patience_s=0.0)

    def resize(self, backend: Any, name: str, wanted: Sequence[Mapping[str, Any]]) -> Any:
        """UpdateEndpointWeightsAndCapacities; counts are recorded (one process serves a variant), weights count."""
        endpoint = _settled(backend, name)
        try:
            endpoint.production_variants = variants.resized(endpoint.production_variants, wanted)
        except ValueError as error:
            raise Refused(
                f'The variant name(s) "{error}" is/are not present within endpoint configuration '
                f'"{endpoint.endpoint_config_name}", or not unique in the request.'
            ) from error
        self._share(endpoint)
        endpoint.last_modified_time = _now()
        return endpoint

    def _share(self, endpoint: Any) -> None:
        if self.fleet is not None:
            weights = {item["VariantName"]: float(item["CurrentWeight"]) for item in endpoint.production_variants}
            self.fleet.set_weights(endpoint.endpoint_name, weights)

    def _start(self, backend: Any, name: str, config: Mapping[str, Any]) -> str | None:
        """Starts the containers of a config; why they did not start, or None."""
        if self.fleet is None:
            return None
        try:
            self.fleet.start(name, [_spec(backend, item) for item in config["ProductionVariants"]], STARTUP_TIMEOUT_S)
        except DataPlaneError as error:
            return str(error)
        except Exception as error:
            log.exception("endpoint %s", name)
            return f"{type(error).__name__}: {error}"
        return None


def model_spec(backend: Any, name: str, extra: Mapping[str, str] | None = None) -> ModelSpec:
    """What `docker run` would need for a model.

    Raises:
        Refused: the model does not exist, or has no model.tar.gz.
    """
    return ModelSpec(**_container(backend, name, extra))


def _spec(backend: Any, variant: Mapping[str, Any]) -> VariantSpec:
    timeout = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
    return VariantSpec(
        name=variant["VariantName"],
        instance_type=variant.get("InstanceType", ""),
        initial_count=variant.get("InitialInstanceCount", 1),
        weight=float(variant.get("InitialVariantWeight", 1.0)),
        startup_timeout_s=None if timeout is None else float(timeout),
        **_container(backend, variant["ModelName"]),
    )


def _container(backend: Any, name: str, extra: Mapping[str, str] | None = None) -> dict[str, Any]:
    model = backend._models.get(name)
    if model is None:
        raise Refused(f'Could not find model "{_arn(backend, "model", name)}".')
    container = model.primary_container or (model.containers[0] if model.containers else {})
    if not container.get("ModelDataUrl"):
        raise Refused(
            f"Model {name} has no ModelDataUrl: the AWS on this machine runs models from a model.tar.gz only."
        )
    environment = {**(container.get("Environment") or {}), **(extra or {})}
    return {
        "model_data_url": container["ModelDataUrl"],
        "environment": {key: str(value) for key, value in environment.items()},
        "image": container.get("Image", ""),
    }


def _config(backend: Any, name: str) -> dict[str, Any]:
    found = backend.endpoint_configs.get(name)
    if found is None:
        raise Refused(f'Could not find endpoint configuration "{_arn(backend, "endpoint-config", name)}".')
    config: dict[str, Any] = found.response_object
    return config


def _settled(backend: Any, name: str) -> Any:
    endpoint = backend.endpoints.get(name)
    if endpoint is None:
        raise Refused(f'Could not find endpoint "{_arn(backend, "endpoint", name)}".')
    if endpoint.endpoint_status in ("Creating", "Updating", "Deleting"):
        raise Refused(f'Cannot update in-progress endpoint "{endpoint.arn}".')
    return endpoint


def _finish(endpoint: Any, status: str, problem: str | None) -> None:
    endpoint.failure_reason = problem
    endpoint.last_modified_time = _now()
    endpoint.endpoint_status = status  # last: whoever polls for it sees the rest settled


def _images(backend: Any) -> dict[str, str]:
    return {name: (model.primary_container or {}).get("Image", "") for name, model in backend._models.items()}


def _capture(config: Mapping[str, Any]) -> dict[str, Any] | None:
    capture = config.get("DataCaptureConfig") or {}
    if not capture:
        return None
    enabled = bool(capture.get("EnableCapture", False))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Stopped",  # nothing is captured on this machine
        "CurrentSamplingPercentage": capture.get("InitialSamplingPercentage", 0),
        "DestinationS3Uri": capture.get("DestinationS3Uri", ""),
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }


def _arn(backend: Any, noun: str, name: str) -> str:
    return f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:{noun}/{name.lower()}"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # moto's clocks are naive UTC
