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
        if not error.problems:
            return fail("deployment", str(error), error.tip), None
        found = " ".join(map(str, error.problems))
        return fail("deployment", f"{error}: {found}", " ".join(problem.tip for problem in error.problems)), None
    fleet = f"{deployment.endpoint.instance_type} x {deployment.endpoint.initial_instance_count}"
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return ok("deployment", f"{shown}: endpoint {deployment.endpoint_name}, {fleet}"), deployment
