"""`cdk bootstrap`, `deploy` and `destroy` into the local AWS: the real CLI, the real app, another endpoint."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rerank_local import session
from rerank_local.cdk_cli import Say, ensure_cli, is_detail, project_root
from rerank_local.errors import NotFound, Refused
from rerank_local.state import ACCOUNT, Home, LocalAws, without_aws, without_proxy

BOOTSTRAP_STACK = "CDKToolkit"
_QUIET = ("--no-notices", "--no-version-reporting")

Outputs = dict[str, dict[str, str]]  # stack name → output name → value


def environment(local: LocalAws) -> dict[str, str]:
    """What the CLI and the app see: the local AWS and nothing of the user's own."""
    home = Home(local.home)
    return {
        **without_aws(dict(os.environ)),
        **without_proxy(dict(os.environ)),
        **local.env(),
        "CDK_HOME": str(home.cdk),  # else the CLI caches "this key → moto's account" among the user's own
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
    deployment: str,
    bundle: Path,
    *,
    local: LocalAws | None = None,
    root: Path | None = None,
    say: Say,
    details: bool = False,
) -> Outputs:
    """`cdk deploy --all` of one deployment with a bundle (a model.tar.gz); returns the stacks' outputs.

    Args:
        say: called with the CLI's lines.
        details: with the lines about single resources and assets too.

    Raises:
        NotFound: no local AWS runs here.
        CdkFailed: the deployment failed; what was deployed before still serves.
    """
    local, root = local or LocalAws.load(), root or project_root()
    with tempfile.TemporaryDirectory() as scratch:
        outputs = Path(scratch) / "outputs.json"
        args = ["--require-approval", "never", "--outputs-file", str(outputs), "--progress", "events"]
        app = ["-c", f"deployment={deployment}", "-c", f"bundle={bundle.resolve()}"]
        app += ["--output", str(_assembly(local, deployment))]
        _run("deploy", [*app, *args], local=local, root=root, say=say if details else _briefly(say))
        found: Outputs = json.loads(outputs.read_text()) if outputs.is_file() else {}
    return found


def destroy(deployment: str, *, local: LocalAws | None = None, root: Path | None = None, say: Say) -> None:
    """`cdk destroy --all` of what `deploy` deployed, after emptying its buckets: AWS too refuses to delete full ones.

    Raises:
        NotFound: no local AWS runs here, or the deployment was not deployed into it.
        Refused: a stack is protected against termination; nothing was touched.
        CdkFailed: something could not be deleted.
    """
    local, root = local or LocalAws.load(), root or project_root()
    assembly = _assembly(local, deployment)
    if not (assembly / "manifest.json").is_file():
        raise NotFound(f"{deployment} was not deployed into the local AWS at {local.endpoint_url}.")
    refuse_protected(local, f"Rerank-{deployment}-")
    empty_buckets(local, f"Rerank-{deployment}-", say=say)
    _run("destroy", ["--app", str(assembly), "--force"], local=local, root=root, say=_briefly(say))
    shutil.rmtree(assembly, ignore_errors=True)


def refuse_protected(local: LocalAws, prefix: str) -> None:
    """Raises Refused when a stack whose name starts with `prefix` is protected against termination."""
    for stack in _client(local, "cloudformation").describe_stacks()["Stacks"]:
        if stack["StackName"].startswith(prefix) and stack.get("EnableTerminationProtection"):
            raise Refused(
                f"{stack['StackName']} is protected against termination, as its deployment says.",
                tip="`rerank local down` forgets everything at once.",
            )


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


def _run(verb: str, args: list[str], *, local: LocalAws, root: Path, say: Say) -> None:
    ensure_cli(root, say).run([verb, "--all", *args, *_QUIET], env=environment(local), cwd=root, say=say)


def _assembly(local: LocalAws, deployment: str) -> Path:
    return Home(local.home).cdk / "assemblies" / deployment


def _briefly(say: Say) -> Say:
    return lambda line: None if is_detail(line) else say(line)


def _client(local: LocalAws, service: str) -> Any:
    return session.client(local.env(), service)
