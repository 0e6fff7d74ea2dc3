"""How any error is told to a person: as ERROR and TIP.

Errors of every package of this kit, of botocore and of the file system are explained. Any other is a fault of ours and
shows itself as one.
"""

import subprocess
import sys
from dataclasses import dataclass

from rerank_ops import installation

PACKAGES = frozenset(
    {"rerank_engine", "rerank_bundle", "rerank_infra", "rerank_client", "rerank_local", "rerank_training", "rerank_ops"}
)
_FORBIDDEN = "The caller's role lacks this permission: ask for it, or use the deployment's invoke policy."


@dataclass(frozen=True, slots=True)
class Explained:
    """An error as a person reads it."""

    message: str
    tip: str | None = None
    exit_code: int = 1


# What a ClientError of AWS asks for, by its code.
_CLIENT_TIPS = {
    "ExpiredToken": "The session has expired: sign in again (aws sso login, or new keys).",
    "ExpiredTokenException": "The session has expired: sign in again (aws sso login, or new keys).",
    "UnrecognizedClientException": "The access key is not known to this account or region: check `rerank doctor`.",
    "InvalidClientTokenId": "The access key is not known: check `rerank doctor`.",
    "AccessDenied": _FORBIDDEN,
    "AccessDeniedException": _FORBIDDEN,
    "ResourceLimitExceeded": "Ask for a higher quota in Service Quotas; `rerank doctor` shows the current one.",
    "ThrottlingException": "AWS is throttling this account: try again in a moment.",
}


def explain(error: BaseException, command: str | None = None) -> Explained | None:
    """`error` of `rerank COMMAND` as message, tip and exit code; None when it is not one that is raised on purpose."""
    if type(error).__module__.partition(".")[0] in PACKAGES:
        return Explained(str(error), getattr(error, "tip", None), getattr(error, "exit_code", 1))
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] not in PACKAGES:
        module = error.name.partition(".")[0]
        return Explained(f"Python package {module!r} is not installed.", installation.tip(module, command))
    if isinstance(error, subprocess.CalledProcessError):
        command = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
        return Explained(f"Exit code {error.returncode} from: {command}")
    return _explain_botocore(error) or _explain_os(error)


def _explain_os(error: BaseException) -> Explained | None:
    if isinstance(error, UnicodeDecodeError):
        return Explained(
            f"A file is not text in UTF-8: {error.reason} at byte {error.start:,}.", "Convert it to UTF-8."
        )
    if not isinstance(error, OSError) or not error.strerror:
        return None
    return Explained(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)


def _explain_botocore(error: BaseException) -> Explained | None:
    exceptions = sys.modules.get("botocore.exceptions")  # not imported: then the error is not one of its
    if exceptions is None:
        return None
    if isinstance(error, exceptions.ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        return Explained(str(error), _CLIENT_TIPS.get(code))
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return Explained(
            "No AWS credentials were found.",
            "Sign in (aws configure, aws sso login, or AWS_PROFILE), or use --local with `rerank local up`.",
        )
    if isinstance(error, exceptions.NoRegionError):
        return Explained("No AWS region is set.", "Pass --region, or set AWS_REGION.")
    if isinstance(error, exceptions.EndpointConnectionError):
        return Explained(
            str(error), "Is the network up? For the AWS on this machine: `rerank local up`, then `rerank local status`."
        )
    if isinstance(error, (exceptions.BotoCoreError, exceptions.HTTPClientError)):
        return Explained(str(error))
    return None
