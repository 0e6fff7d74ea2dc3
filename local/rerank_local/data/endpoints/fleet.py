"""The endpoints that run on this machine: created and updated blue/green, routed by weight, stopped."""

import contextlib
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rerank_local.data.container.container import Care, Container
from rerank_local.data.container.launch import Launcher, serve_door
from rerank_local.data.errors import (
    ContainerFailed,
    EndpointBusy,
    EndpointNotInService,
    ModelDataFailed,
    UnknownEndpoint,
    UnknownVariant,
)
from rerank_local.data.s3 import Fetch
from rerank_local.data.values import EndpointView, VariantSpec, VariantView

STARTUP_TIMEOUT_S = 240.0  # SageMaker's default container startup health check


@dataclass(slots=True)
class _Variant:
    spec: VariantSpec
    container: Container
    weight: float


@dataclass(slots=True)
class _Endpoint:
    status: str = "Creating"
    failure_reason: str | None = None
    variants: dict[str, _Variant] = field(default_factory=dict)
    starting: list[Container] = field(default_factory=list)
    deployments: int = 0


class EndpointFleet:
    """Every endpoint of the local AWS, each with one process per production variant (instance counts do not matter).

    Args:
        fetch: opens a model archive by its ModelDataUrl.
        log_dir: logs go to log_dir/<endpoint>/<variant>-<deployment>.log.
        invocation_timeout_s: SageMaker's 60 s for a real-time answer.
        launcher: how a process is started from an unpacked archive.
        care: how processes are watched and stopped.
    """

    def __init__(
        self,
        fetch: Fetch,
        log_dir: Path,
        *,
        account_id: str = "123456789012",
        region: str = "us-east-1",
        invocation_timeout_s: float = 60.0,
        launcher: Launcher = serve_door,
        care: Care | None = None,
    ) -> None:
        self.account_id, self.region, self.invocation_timeout_s = account_id, region, invocation_timeout_s
        self._fetch, self._log_dir, self._launcher, self._care = fetch, log_dir, launcher, care
        self._endpoints: dict[str, _Endpoint] = {}
        self._lock = threading.Lock()

    def start(
        self, endpoint_name: str, variants: Sequence[VariantSpec], startup_timeout_s: float = STARTUP_TIMEOUT_S
    ) -> None:
        """Creates the endpoint, or updates it blue/green; returns when it serves `variants`.

        While an update starts, the old processes serve; they are drained and stopped in the background once every new
        one is healthy, and kept when one is not. An endpoint whose creation failed stays known as Failed until `stop`.

        Raises:
            ContainerFailed: a variant did not become healthy; the text is SageMaker's reason and the end of the log.
            EndpointBusy: it is being created or updated already.
        """
        with self._lock:
            endpoint = self._endpoints.setdefault(endpoint_name, _Endpoint())
            if endpoint.starting:
                raise EndpointBusy(f"Endpoint {endpoint_name} is {endpoint.status} already.")
            endpoint.status = "Updating" if endpoint.variants else "Creating"
            endpoint.deployments += 1
            folder = self._log_dir / endpoint_name
            fresh = {spec.name: self._variant(spec, folder, endpoint.deployments) for spec in variants}
            endpoint.starting = [variant.container for variant in fresh.values()]
        try:
            _start_all(list(fresh.values()), startup_timeout_s)
        except BaseException as error:
            self._settle(endpoint, endpoint.variants, error)
            for variant in fresh.values():
                variant.container.stop()
            raise
        old = endpoint.variants
        self._settle(endpoint, fresh, None)
        if self._endpoints.get(endpoint_name) is not endpoint:  # deleted meanwhile
            old = {**old, **fresh}
            self._retire(old)
            raise ContainerFailed(f"Endpoint {endpoint_name} was deleted while it was {endpoint.status}.")
        self._retire(old)

    def stop(self, name: str) -> None:
        """Stops the endpoint's processes and forgets it; one that is not there is fine."""
        with self._lock:
            endpoint = self._endpoints.pop(name, None)
        if endpoint:
            containers = [variant.container for variant in endpoint.variants.values()] + endpoint.starting
            _stop_all(containers)

    def stop_all(self) -> None:
        """Stops everything: for shutdown and reset."""
        with self._lock:
            endpoints, self._endpoints = list(self._endpoints.values()), {}
        _stop_all(
            [v.container for e in endpoints for v in e.variants.values()] + [c for e in endpoints for c in e.starting]
        )

    def set_weights(self, name: str, weights: Mapping[str, float]) -> None:
        """Shifts traffic between variants, as UpdateEndpointWeightsAndCapacities does.

        Raises:
            UnknownEndpoint, UnknownVariant: nothing is changed then.
        """
        with self._lock:
            endpoint = self._known(name)
            for variant in weights:
                if variant not in endpoint.variants:
                    raise UnknownVariant(f"Endpoint {name} has no variant {variant}; it has {_names(endpoint)}.")
            for variant, weight in weights.items():
                endpoint.variants[variant].weight = weight

    def status(self, name: str) -> str | None:
        """Creating, Updating, InService or Failed; None for an endpoint that is not known."""
        endpoint = self._endpoints.get(name)
        return endpoint.status if endpoint else None

    def names(self) -> list[str]:
        """Of the endpoints that are known, sorted."""
        return sorted(self._endpoints)

    def describe(self, name: str) -> EndpointView | None:
        """The endpoint with its processes; None if it is not known."""
        with self._lock:
            endpoint = self._endpoints.get(name)
            if endpoint is None:
                return None
            return EndpointView(
                name,
                endpoint.status,
                endpoint.failure_reason,
                tuple(
                    VariantView(
                        key,
                        v.weight,
                        v.container.pid,
                        v.container.port,
                        v.container.healthy,
                        v.container.restarts,
                        v.container.log,
                    )
                    for key, v in endpoint.variants.items()
                ),
            )

    @contextlib.contextmanager
    def route(self, name: str, target_variant: str | None = None) -> Iterator[tuple[str, Container]]:
        """The variant that takes one request, and its container, which is not stopped before the block ends.

        Variants are drawn by weight (evenly if all weights are 0); `target_variant` overrides the draw.

        Raises:
            UnknownEndpoint, UnknownVariant, EndpointNotInService
        """
        with self._lock:
            endpoint = self._known(name)
            if not endpoint.variants:
                raise EndpointNotInService(f"Endpoint {name} is {endpoint.status}, not InService.")
            variant = target_variant or _draw(endpoint)
            if variant not in endpoint.variants:
                raise UnknownVariant(f"Endpoint {name} has no variant {variant}; it has {_names(endpoint)}.")
            container = endpoint.variants[variant].container
            use = container.in_use()
            use.__enter__()  # under the lock: an update cannot retire it in between
        try:
            yield variant, container
        finally:
            use.__exit__(None, None, None)

    def _known(self, name: str) -> _Endpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise UnknownEndpoint(f"Endpoint {name} of account {self.account_id} not found.")
        return endpoint

    def _variant(self, spec: VariantSpec, folder: Path, deployment: int) -> _Variant:
        log = folder / f"{spec.name}-{deployment}.log"
        return _Variant(spec, Container(spec, self._fetch, log, launcher=self._launcher, care=self._care), spec.weight)

    def _settle(self, endpoint: _Endpoint, variants: dict[str, _Variant], error: BaseException | None) -> None:
        with self._lock:
            endpoint.variants, endpoint.starting = variants, []
            endpoint.status = "InService" if variants else "Failed"
            endpoint.failure_reason = str(error) if error else None

    def _retire(self, old: Mapping[str, _Variant]) -> None:
        def retire(container: Container) -> None:
            container.drain(self.invocation_timeout_s)
            container.stop()

        for variant in old.values():
            threading.Thread(target=retire, args=(variant.container,), name="retire", daemon=True).start()


def _start_all(variants: Sequence[_Variant], default_timeout_s: float) -> None:
    """Starts all at once; the first failure stops the others and is raised."""
    failures: list[ContainerFailed] = []

    def start(variant: _Variant) -> None:
        try:
            _start(variant, default_timeout_s)
        except ContainerFailed as error:
            failures.append(error)
            for other in variants:
                other.container.stop()

    with ThreadPoolExecutor(len(variants)) as pool:
        list(pool.map(start, variants))
    if failures:
        raise failures[0]


def _start(variant: _Variant, default_timeout_s: float) -> None:
    spec = variant.spec
    timeout_s = spec.startup_timeout_s if spec.startup_timeout_s is not None else default_timeout_s
    try:
        variant.container.start(timeout_s)
    except ModelDataFailed:
        raise  # SageMaker's own words already
    except ContainerFailed as error:
        raise ContainerFailed(
            f"The primary container for production variant {spec.name} did not pass the ping health check. Please "
            f"check CloudWatch logs for this endpoint. (Here: {variant.container.log}.)\n{error}",
            tip=error.tip,
        ) from error


def _stop_all(containers: Sequence[Container]) -> None:
    if containers:
        with ThreadPoolExecutor(len(containers)) as pool:
            list(pool.map(Container.stop, containers))


def _draw(endpoint: _Endpoint) -> str:
    names = list(endpoint.variants)
    weights = [endpoint.variants[name].weight for name in names]
    if len(names) == 1 or not any(weights):
        return names[0] if len(names) == 1 else random.choice(names)  # noqa: S311 - shares traffic, keeps no secret
    return random.choices(names, weights)[0]  # noqa: S311 - as above


def _names(endpoint: _Endpoint) -> str:
    return ", ".join(endpoint.variants)
