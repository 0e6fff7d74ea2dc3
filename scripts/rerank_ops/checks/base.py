"""A check and its result."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"  # works without it, or it could not be found out
    FAIL = "fail"  # something will not work until the remedy is applied
    SKIP = "skip"  # depends on another check that did not pass


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        name: what was looked at.
        state: how it came out.
        found: what is there.
        remedy: what to do; empty when nothing needs to be done.
    """

    name: str
    state: State
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return {key: str(value) for key, value in asdict(self).items()}


def ok(name: str, found: str) -> Finding:
    """Nothing needs to be done."""
    return Finding(name, State.OK, found)


def warn(name: str, found: str, remedy: str) -> Finding:
    """Works without it, or it could not be found out."""
    return Finding(name, State.WARN, found, remedy)


def fail(name: str, found: str, remedy: str) -> Finding:
    """Something will not work until the remedy is applied."""
    return Finding(name, State.FAIL, found, remedy)


def skip(name: str, why: str) -> Finding:
    """Another check has to pass first."""
    return Finding(name, State.SKIP, why)


def asking_aws(name: str, permission: str, ask: Callable[[], Finding]) -> Finding:
    """`ask`, with what can go wrong on the way to AWS turned into findings: no network, no permission."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return ask()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if "Denied" in code or "Unauthorized" in code:
            return warn(
                name, f"may not be looked at ({code})", f"Allow {permission} to this caller, or ask an administrator."
            )
        return warn(name, f"AWS says {code}: {error.response.get('Error', {}).get('Message', '')}", "")
    except BotoCoreError as error:
        return warn(
            name, f"AWS was not reached: {type(error).__name__}", "Is the network up, and the region's name right?"
        )
