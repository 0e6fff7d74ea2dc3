"""What can go wrong with the AWS on this machine, as a tree, apart from its two planes.

LocalError              exit code 1
├── NotFound            no local AWS, endpoint or log of that name
├── Refused             what was asked cannot work: said before anything is started
├── Missing             a program that it needs is not installed
├── Unfinished          it was started, and failed
└── DataPlaneError      see data/errors.py

What goes wrong inside a deployment is told as AWS tells it: control/errors.py. The `rerank` command turns all of these
into ERROR and TIP, as it does those of every package of this kit.
"""


class LocalError(Exception):
    """Base of all errors the local AWS raises on purpose.

    Attributes:
        tip: what the reader can do about it; None when the message already says it.
    """

    exit_code = 1

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.tip = tip


class NotFound(LocalError):
    """Something that was named does not exist."""


class Refused(LocalError):
    """The request cannot work as it stands."""


class Missing(LocalError):
    """A program or package is not installed."""


class Unfinished(LocalError):
    """It was started, and failed."""
