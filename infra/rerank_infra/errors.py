"""Every error the infrastructure raises on purpose, as a tree.

DeploymentError
├── ConfigError     a deployment's TOML file is missing, malformed or contradicts itself (one Problem per key)
├── BundleMissing   there is no model.tar.gz where the deployment looks for it, or it is not one
└── ImageError      no container image is known for this region or instance type

`infra/app.py` turns them into `ERROR …` and `TIP …` lines on stderr and exit code 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a deployment file.

    Attributes:
        key: path of the TOML key, as `scaling.max_instances`.
        value: what stands there.
        message: what is wrong with it.
        tip: what to write instead.
    """

    key: str
    value: object
    message: str
    tip: str

    def __str__(self) -> str:
        return f"{self.key} has value {_shortened(self.value)}. {self.message}"


def _shortened(value: object, width: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


class DeploymentError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        tip: what the reader can do about it.
    """

    def __init__(self, message: str, *, tip: str) -> None:
        super().__init__(message)
        self.tip = tip

    def lines(self) -> Iterator[str]:
        """What the command line prints, one `ERROR` and one `TIP` line for each problem."""
        yield f"ERROR {self}"
        yield f"TIP {self.tip}"


class ConfigError(DeploymentError):
    """A deployment file cannot be used; every problem is named at once."""

    def __init__(self, message: str, *, tip: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message, tip=tip)
        self.problems = problems

    def lines(self) -> Iterator[str]:
        """One pair of lines for each key that is wrong."""
        if not self.problems:
            yield from super().lines()
        for problem in self.problems:
            yield f"ERROR {self}: {problem}"
            yield f"TIP {problem.tip}"


class BundleMissing(DeploymentError):
    """There is no model.tar.gz to deploy."""


class ImageError(DeploymentError):
    """No container image is known for this region or instance type."""
