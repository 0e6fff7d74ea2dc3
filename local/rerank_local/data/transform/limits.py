"""How large and how parallel a transform job's requests are: its request, then its container, then the defaults."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rerank_local.data.container.connections import Reply
from rerank_local.data.errors import ContainerFailed, TransformRefused
from rerank_local.data.transform.records import MIB
from rerank_local.data.transform.request import TransformRequest, check_product

_STRATEGIES = {"MULTI_RECORD": "MultiRecord", "SINGLE_RECORD": "SingleRecord"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is settled once the container runs; a payload of 0 MiB is one without limit."""

    strategy: str
    max_payload_mb: int
    max_concurrent: int

    @property
    def max_payload_bytes(self) -> int:
        """MaxPayloadInMB in bytes; 0 is no limit."""
        return self.max_payload_mb * MIB

    def __str__(self) -> str:
        spelled = {ours: theirs for theirs, ours in _STRATEGIES.items()}[self.strategy]
        return (
            f"MaxConcurrentTransforms={self.max_concurrent}, MaxPayloadInMB={self.max_payload_mb}, "
            f"BatchStrategy={spelled}"
        )


def advertised(reply: Reply) -> Mapping[str, Any]:
    """What the container says on /execution-parameters; nothing if it has no such route.

    Raises:
        ContainerFailed: it answers 200 with something other than the documented object.
    """
    if reply.status != 200:
        return {}
    try:
        said = json.loads(reply.body)
        whole = all(isinstance(said.get(name, 0), int) for name in ("MaxConcurrentTransforms", "MaxPayloadInMB"))
        fits = whole and said.get("BatchStrategy", "MULTI_RECORD") in _STRATEGIES
    except (ValueError, AttributeError, TypeError):
        fits = False
    if not fits:
        raise ContainerFailed(
            f"/execution-parameters answered {reply.body[:200]!r}, which is not what SageMaker reads."
        )
    return dict(said)


def settle(request: TransformRequest, container: Mapping[str, Any]) -> Limits:
    """The limits of a job whose container advertises `container`.

    Worked example: a request that sets MaxPayloadInMB=2 only, and a container that says 4 transforms of 6 MB, run 4
    transforms of 2 MB; without the container's word it is 1 transform of 2 MB.

    Raises:
        ContainerFailed: together they exceed SageMaker's 100 MB.
    """
    strategy = request.strategy or _STRATEGIES[container.get("BatchStrategy", "MULTI_RECORD")]
    payload = request.max_payload_mb if request.max_payload_mb is not None else container.get("MaxPayloadInMB", 6)
    limits = Limits(strategy, payload, request.max_concurrent or container.get("MaxConcurrentTransforms") or 1)
    try:
        check_product(limits.max_concurrent, limits.max_payload_mb)
    except TransformRefused as error:
        raise ContainerFailed(f"With the container's /execution-parameters, {error}") from error
    return limits
