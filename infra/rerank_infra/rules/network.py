"""Subnets, and who hears about what."""

from collections.abc import Iterator

from rerank_infra.deployment import Deployment
from rerank_infra.errors import Problem


def _network(d: Deployment) -> Iterator[Problem]:
    if len(d.network.subnets) == 1:
        yield Problem(
            "network.subnets", list(d.network.subnets), "SageMaker asks for two availability zones.", "Add a second."
        )
    if bool(d.network.subnets) != bool(d.network.security_groups):
        missing = "security_groups" if d.network.subnets else "subnets"
        yield Problem(f"network.{missing}", [], "Subnets and security groups come together.", "Give both, or neither.")


def _alarms(d: Deployment) -> Iterator[Problem]:
    if d.alarms.topic_arn and d.alarms.email:
        yield Problem(
            "alarms.email",
            d.alarms.email,
            "alarms.topic_arn names a topic of yours, whose subscriptions are yours too.",
            "Give one of them.",
        )
    if d.metrics.scrape_container and d.uses_hf_image:
        yield Problem("metrics.scrape_container", True, "AWS's Hugging Face container has no /metrics.", "Write false.")


RULES = (
    _network,
    _alarms,
)
