"""What one key of a deployment demands of another. Pure: each rule reads a Deployment and yields Problems."""

from rerank_infra.deployment import Deployment
from rerank_infra.errors import Problem
from rerank_infra.rules import batch, engine, fleet, network, rollout


def problems(deployment: Deployment) -> tuple[Problem, ...]:
    """Everything that contradicts itself."""
    rules = (*fleet.RULES, *engine.RULES, *rollout.RULES, *network.RULES, *batch.RULES)
    return tuple(problem for rule in rules for problem in rule(deployment))
