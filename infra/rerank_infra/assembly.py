"""One deployment as a CDK app: two stacks, tags, checks."""

import os
from pathlib import Path

import aws_cdk as cdk
import cdk_nag

from rerank_infra import loading
from rerank_infra.deployment import Deployment
from rerank_infra.endpoint_stack import EndpointStack
from rerank_infra.errors import ConfigError
from rerank_infra.foundation_stack import FoundationStack


def from_context(app: cdk.App, *, root: Path) -> None:
    """Adds the deployment that `-c deployment=NAME` chooses (sandbox), with the bundle `-c bundle=PATH` if given.

    Raises:
        DeploymentError: its file is wrong, or the bundle is not there.
    """
    name = app.node.try_get_context("deployment") or "sandbox"
    deployment = loading.load(loading.find(str(name), root / "infra" / "deployments"))
    bundle = app.node.try_get_context("bundle")
    add_stacks(app, deployment, bundle_path=Path(bundle) if bundle else root / deployment.bundle_path)


def add_stacks(app: cdk.App, deployment: Deployment, *, bundle_path: Path) -> None:
    """Adds the stacks of `deployment`, its tags, and cdk-nag's AwsSolutions rules.

    Raises:
        DeploymentError: no region is known, or the bundle is not there.
    """
    region = deployment.region or os.environ.get("CDK_DEFAULT_REGION")
    if not region:
        raise ConfigError(
            f"{deployment.name}.toml: region is not set, and the environment names none.",
            tip="Set AWS_REGION, or write region into the TOML: the container image differs by region.",
        )
    environment = cdk.Environment(account=deployment.account or os.environ.get("CDK_DEFAULT_ACCOUNT"), region=region)
    protection = deployment.retention.termination_protection
    foundation = FoundationStack(
        app,
        f"Rerank-{deployment.name}-Foundation",
        deployment=deployment,
        env=environment,
        termination_protection=protection,
        description=f"Reranker {deployment.name}: key, buckets, logs, alarm topic",
    )
    EndpointStack(
        app,
        f"Rerank-{deployment.name}-Endpoint",
        deployment=deployment,
        bundle_path=bundle_path,
        foundation=foundation,
        env=environment,
        termination_protection=protection,
        description=f"Reranker {deployment.name}: model, endpoint, scaling, alarms, batch model",
    )
    for key, value in ({"rerank:deployment": deployment.name} | deployment.tags).items():
        cdk.Tags.of(app).add(key, value)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
