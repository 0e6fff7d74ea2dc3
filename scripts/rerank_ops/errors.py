"""Every error the commands raise, as a tree.

OpsError                exit code 1
├── NotFound            a file, parameter, endpoint or job that was named is not there
├── Refused             what was asked cannot work: said before anything is submitted
├── Usage               what was given cannot be meant: exit code 2, as for an unknown flag
├── Missing             a program or package this command needs is not installed
└── Unfinished          AWS (or the local one) did the work and it failed
"""


class OpsError(Exception):
    """Base of all errors a command raises on purpose.

    Attributes:
        tip: what the reader can do about it; None when the message already says it.
    """

    exit_code = 1

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.tip = tip


class NotFound(OpsError):
    """Something that was named does not exist."""


class Refused(OpsError):
    """The request cannot work as it stands."""


class Usage(OpsError):
    """An argument is missing, empty, or contradicts another."""

    exit_code = 2


class Missing(OpsError):
    """A program or package is not installed."""


class Unfinished(OpsError):
    """The remote side accepted the work and failed at it."""
