"""Batch transform."""

from collections.abc import Iterator

from rerank_infra.deployment import Deployment
from rerank_infra.errors import Problem


def _batch(d: Deployment) -> Iterator[Problem]:
    if not d.batch_instance.can_transform:
        yield Problem(
            "batch.instance_type",
            d.batch.instance_type,
            "Batch transform does not offer it.",
            "Take ml.c7i, ml.m7i, ml.g4dn, ml.g5, ml.g6 or ml.g6e.",
        )
    if d.batch.max_payload_mb * d.batch.max_concurrent > 100:
        yield Problem(
            "batch.max_concurrent",
            d.batch.max_concurrent,
            f"Times max_payload_mb it makes {d.batch.max_concurrent * d.batch.max_payload_mb} MB; SageMaker takes 100.",
            "Lower one of them.",
        )


RULES = (_batch,)
