"""`cdk bootstrap`, `deploy` and `destroy` into the local AWS: the real CLI, the real app, another endpoint."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from rerank_ops.local.cdk_cli import Say, ensure_cli, project_root
from rerank_ops.local.state import ACCOUNT, Home, LocalAws, without_aws

BOOTSTRAP_STACK = "CDKToolkit"
_QUIET = ("--no-notices", "--no-version-reporting")

Outputs = dict[str, dict[str, str]]  # stack name → output name → value


def environment(local: LocalAws) -> dict[str, str]:
    """What the CLI and the app see: the local AWS and nothing of the user's own."""
    home = Home(local.home)
    return {
        **without_aws(dict(os.environ)),
        **local.env(),
        "CDK_HOME": str(home.cdk),  # else the CLI caches "key testing → moto's account" among the user's own
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": local.region,
    }


def bootstrap(local: LocalAws, *, say: Say, root: Path | None = None, region: str | None = None) -> None:
    """Prepares a region (default: the local AWS's own) for deployments."""
    cli = ensure_cli(root or project_root(), say)
    with tempfile.TemporaryDirectory() as empty:  # in the app's folder it would synthesise the app as well
        target = f"aws://{ACCOUNT}/{region or local.region}"
        cli.run(["bootstrap", target, *_QUIET], env=environment(local), cwd=Path(empty), say=say)


def deploy(
    deployment: str, bundle: Path, *, local: LocalAws | None = None, root: Path | None = None, say: Say
) -> Outputs:
    """`cdk deploy --all` of one deployment with a bundle (a model.tar.gz); returns the stacks' outputs.

    Raises:
        NotFound: no local AWS runs here.
        Unfinished: the deployment failed; the text holds the CLI's last lines.
    """
    local, root = local or LocalAws.load(), root or project_root()
    with tempfile.TemporaryDirectory() as scratch:
        outputs = Path(scratch) / "outputs.json"
        args = ["--require-approval", "never", "--outputs-file", str(outputs)]
        _run("deploy", deployment, bundle, args, local=local, root=root, say=say)
        found: Outputs = json.loads(outputs.read_text()) if outputs.is_file() else {}
    return found


def destroy(
    deployment: str, bundle: Path, *, local: LocalAws | None = None, root: Path | None = None, say: Say
) -> None:
    """`cdk destroy --all` of one deployment, after emptying its buckets (which AWS too refuses to delete while full).

    Raises:
        NotFound: no local AWS runs here.
        Unfinished: something could not be deleted.
    """
    local, root = local or LocalAws.load(), root or project_root()
    empty_buckets(local, f"Rerank-{deployment}-", say=say)
    _run("destroy", deployment, bundle, ["--force"], local=local, root=root, say=say)


def empty_buckets(local: LocalAws, prefix: str, *, say: Say) -> None:
    """Deletes every object and version in the buckets of the stacks whose name starts with `prefix`."""
    cloudformation, s3 = _client(local, "cloudformation"), _client(local, "s3")
    stacks = [item["StackName"] for item in cloudformation.describe_stacks()["Stacks"]]
    buckets = [
        resource["PhysicalResourceId"]
        for stack in stacks
        if stack.startswith(prefix)
        for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        if resource["ResourceType"] == "AWS::S3::Bucket"
    ]
    for bucket in buckets:  # access logging first: emptying one bucket would write into another
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    for bucket in buckets:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
                say(f"{bucket}: {len(found)} objects deleted")


def _run(verb: str, deployment: str, bundle: Path, args: list[str], *, local: LocalAws, root: Path, say: Say) -> None:
    assembly = Home(local.home).cdk / "assemblies" / deployment
    context = ["-c", f"deployment={deployment}", "-c", f"bundle={bundle.resolve()}"]
    command = [verb, "--all", *context, "--output", str(assembly), "--progress", "events", *_QUIET, *args]
    if verb == "destroy":
        command = [part for part in command if part not in ("--progress", "events")]
    ensure_cli(root, say).run(command, env=environment(local), cwd=root, say=say)


def _client(local: LocalAws, service: str) -> Any:
    from boto3.session import Session

    env = local.env()
    keys = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    return Session(**keys, region_name=local.region).client(service, endpoint_url=local.endpoint_url)
