"""The deployment's own file."""

from typing import Any

from rerank_ops.checks.base import Finding, fail, ok
from rerank_ops.checks.machine import ROOT


def read(name: str) -> tuple[Finding, Any | None]:
    """Reads infra/deployments/<name>.toml: the finding, and the Deployment when it is valid."""
    from rerank_infra.errors import ConfigError
    from rerank_infra.loading import find, load

    try:
        path = find(name, ROOT / "infra" / "deployments")
        deployment = load(path)
    except ConfigError as error:
        first = f"{error}: {error.problems[0]}" if error.problems else str(error)
        return fail("deployment", first, error.problems[0].tip if error.problems else error.tip), None
    fleet = f"{deployment.endpoint.instance_type} x {deployment.endpoint.initial_instance_count}"
    return ok("deployment", f"{path.relative_to(ROOT)}: endpoint {deployment.endpoint_name}, {fleet}"), deployment
