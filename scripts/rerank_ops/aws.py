"""Which AWS a command talks to: an account, or the one on this machine.

The same code serves both; only the endpoint URL and the keys differ. AWS_ENDPOINT_URL, AWS_PROFILE and the rest work as
in every boto3 program; `--local` takes all of it from the local AWS of this project and nothing of the user's profile.
"""

import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, field
from typing import Any

from rerank_ops.errors import NotFound

RUNTIME_READ_TIMEOUT_S = 70  # SageMaker answers within 60 s; the SDK has to outwait it
# Which variables a local session must not see, as botocore names them: the user's own profile and files.
_HERMETIC = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def aws_options(parser: ArgumentParser) -> None:
    """Adds --local, --region and --profile."""
    group = parser.add_argument_group("AWS")
    group.add_argument("--local", action="store_true", help="use the AWS on this machine (rerank local up)")
    group.add_argument("--region", help="AWS region (default: AWS_REGION or the profile's)")
    group.add_argument("--profile", help="profile of ~/.aws/config (default: AWS_PROFILE)")


@dataclass(frozen=True)
class Aws:
    """Where to send calls.

    Attributes:
        region: region name; None leaves it to boto3's own chain.
        profile: profile name; None leaves it to boto3's own chain.
        local_env: the environment of the local AWS; empty for an account.
    """

    region: str | None = None
    profile: str | None = None
    local_env: dict[str, str] = field(default_factory=dict)
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_args(cls, args: Namespace) -> "Aws":
        """From the flags of `aws_options`.

        Raises:
            OpsError: --local, and no local AWS runs in this project.
        """
        if not args.local:
            return cls(region=args.region, profile=args.profile)
        from rerank_ops.local.state import LocalAws

        return cls(region=args.region, local_env=dict(LocalAws.load().env()))

    @property
    def local(self) -> bool:
        """Whether it is the AWS on this machine, by flag or by AWS_ENDPOINT_URL."""
        url = self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL", "")
        return url.startswith(("http://127.0.0.1:", "http://localhost:"))

    @property
    def endpoint_url(self) -> str | None:
        """Where calls go instead of AWS; None means boto3 decides (AWS_ENDPOINT_URL, or AWS itself)."""
        return self.local_env.get("AWS_ENDPOINT_URL")

    def session(self) -> Any:
        """A boto3 session with the right keys and region; the same one each time: service models are slow to read."""
        if "session" not in self._made:
            self._made["session"] = self._new_session()
        return self._made["session"]

    def _new_session(self) -> Any:
        import boto3
        import botocore.session

        if not self.local_env:
            return boto3.session.Session(region_name=self.region, profile_name=self.profile)
        env = self.local_env
        return boto3.session.Session(
            botocore_session=botocore.session.Session(session_vars=_HERMETIC),
            region_name=self.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"),
            aws_access_key_id=env.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=env.get("AWS_SESSION_TOKEN"),
        )

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client; `config` goes to botocore's Config."""
        from botocore.config import Config

        defaults: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 4}, "connect_timeout": 10}
        if service == "sagemaker-runtime":
            defaults["read_timeout"] = RUNTIME_READ_TIMEOUT_S
        return self.session().client(service, endpoint_url=self.endpoint_url, config=Config(**(defaults | config)))


def deployment_parameters(aws: Aws, deployment: str) -> dict[str, str]:
    """What the stacks of a deployment published under /rerank/<deployment>/ in SSM, by short name.

    Raises:
        NotFound: nothing is deployed under this name, in this account and region.
    """
    path = f"/rerank/{deployment}/"
    pages = aws.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True)
    found = {item["Name"].removeprefix(path): str(item["Value"]) for page in pages for item in page["Parameters"]}
    if not found:
        where = "the AWS on this machine" if aws.local else f"region {aws.session().region_name or '?'} of this account"
        command = "rerank local deploy" if aws.local else "cdk deploy --all"
        raise NotFound(
            f"No deployment {deployment!r} in {where}: SSM has nothing under {path}.",
            tip=f"Deploy it ({command} -c deployment={deployment}), or name another with --deployment or --region.",
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
