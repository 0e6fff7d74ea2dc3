"""Which AWS a command talks to: an account, or the one on this machine.

The same code serves both; only the endpoint URL and the keys differ. Profile, region and endpoint follow the CDK CLI's
rule, which `rerank_client.aws` holds; a region in the deployment's file goes before those of the environment, because
`cdk deploy` does the same. `--local` takes all of it from the local AWS of this project and nothing of the user's.
"""

import tomllib
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rerank_client import aws as rule
from rerank_client.aws import Setting
from rerank_ops import console
from rerank_ops.errors import NotFound

RUNTIME_READ_TIMEOUT_S = 70  # SageMaker answers within 60 s; the SDK has to outwait it
DEPLOYMENTS = Path(__file__).resolve().parents[2] / "infra" / "deployments"
_THIS_MACHINE = ("http://127.0.0.1:", "http://localhost:")


def aws_options(parser: ArgumentParser) -> None:
    """Adds --local, --region and --profile."""
    group = parser.add_argument_group("AWS")
    group.add_argument("--local", action="store_true", help="use the AWS on this machine (rerank local up)")
    group.add_argument(
        "--region", help="AWS region (default: the deployment's file, AWS_REGION, AWS_DEFAULT_REGION, the profile's)"
    )
    group.add_argument("--profile", help="profile of ~/.aws/config (default: AWS_PROFILE)")


@dataclass(frozen=True)
class Aws:
    """Where to send calls.

    Attributes:
        region: region name; None leaves it to the environment and the profile.
        profile: profile name; None leaves it to the environment.
        local_env: the environment of the local AWS; empty for an account.
        region_source: where `region` comes from.
    """

    region: str | None = None
    profile: str | None = None
    local_env: dict[str, str] = field(default_factory=dict)
    region_source: str = "--region"
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_args(cls, args: Namespace) -> "Aws":
        """From the flags of `aws_options`, and the file of the deployment that `--deployment` names.

        Raises:
            LocalError: --local, and no local AWS runs in this project.
        """
        region, source = args.region, "--region"
        name = None if getattr(args, "endpoint", None) else getattr(args, "deployment", None)
        if region is None and name and (region := region_of_deployment(name)):
            source = f"infra/deployments/{name}.toml"
        if not args.local:
            return cls(region=region, profile=args.profile, region_source=source)
        from rerank_local.state import LocalAws

        return cls(region=region, local_env=dict(LocalAws.load().env()), region_source=source)

    @property
    def local(self) -> bool:
        """Whether it is the AWS on this machine, by flag or by the endpoint that the environment or profile names."""
        return (self.endpoint("sagemaker").value or "").startswith(_THIS_MACHINE)

    @property
    def endpoint_url(self) -> str | None:
        """Where --local sends calls; None means that boto3 reads the environment and the profile."""
        return self.local_env.get("AWS_ENDPOINT_URL")

    def region_in_force(self) -> Setting:
        """The region of calls, and what named it; the same one each time, for an EC2 instance is asked over HTTP."""
        if "region" not in self._made:
            self._made["region"] = self._find_region()
        found: Setting = self._made["region"]
        return found

    def profile_in_force(self) -> Setting:
        """The profile, and what named it."""
        return Setting(None, "--local") if self.local_env else rule.profile(self.profile)

    def endpoint(self, service: str) -> Setting:
        """Where calls of `service` go, and what named it; a value of None is AWS itself."""
        if self.local_env:
            return Setting(self.endpoint_url, "--local")
        return rule.endpoint(service, profile_name=self.profile)

    def session(self) -> Any:
        """A boto3 session with the right keys and region; the same one each time: service models are slow to read."""
        if "session" not in self._made:
            self._made["session"] = self._new_session()
        return self._made["session"]

    def _find_region(self) -> Setting:
        if self.region:
            return Setting(self.region, self.region_source)
        if self.local_env:
            return Setting(self.local_env.get("AWS_REGION") or self.local_env.get("AWS_DEFAULT_REGION"), "--local")
        return rule.region(profile_name=self.profile)

    def _new_session(self) -> Any:
        region = self.region_in_force()
        if self.local_env:
            from rerank_local.session import local_session

            return local_session(self.local_env, region.value)
        if region.source == rule.NOTHING:
            console.warn(f"No AWS region is set: {region.value} is taken, as the CDK does. Set AWS_REGION.")
        return rule.session(region.value, self.profile)

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client; `config` goes to botocore's Config."""
        from botocore.config import Config

        defaults: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 4}, "connect_timeout": 10}
        if service == "sagemaker-runtime":
            defaults["read_timeout"] = RUNTIME_READ_TIMEOUT_S
            defaults["retries"] = {"total_max_attempts": 1}  # RerankClient's own, which never repeats a read timeout
        if self.local_env:
            defaults["proxies"] = {}  # the address is this machine's
        return self.session().client(service, endpoint_url=self.endpoint_url, config=Config(**(defaults | config)))


def region_of_deployment(name: str) -> str | None:
    """The region that a deployment's file in this checkout names; None where it names none or cannot be read."""
    path = Path(name) if name.endswith(".toml") else DEPLOYMENTS / f"{name}.toml"
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("region")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def deployment_parameters(aws: Aws, deployment: str) -> dict[str, str]:
    """What the stacks of a deployment published under /rerank/<deployment>/ in SSM, by short name.

    Raises:
        NotFound: nothing is deployed under this name, in this account and region.
    """
    path = f"/rerank/{deployment}/"
    pages = aws.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    found = {item["Name"].removeprefix(path): str(item["Value"]) for page in pages for item in page["Parameters"]}
    if not found:
        where = "the AWS on this machine" if aws.local else "this account"
        region = aws.region_in_force()
        raise NotFound(
            f"No deployment {deployment!r} in region {region.value} of {where}: SSM has nothing under {path}.",
            tip=f"The region is from: {region.source}. Deploy there ({_deploy(aws, deployment)}), or name another "
            "deployment or region with --deployment or --region.",
        )
    return found


def parameter(parameters: dict[str, str], deployment: str, name: str) -> str:
    """One of `deployment_parameters`; NotFound says which is missing."""
    try:
        return parameters[name]
    except KeyError:
        raise NotFound(
            f"Deployment {deployment!r} has no SSM parameter /rerank/{deployment}/{name}.",
            tip="It was deployed by another version of the stacks: deploy it again.",
        ) from None


def _deploy(aws: Aws, deployment: str) -> str:
    command = f"cdk deploy --all -c deployment={deployment}"
    return f'eval "$(rerank local env)", then {command}' if aws.local_env else command
