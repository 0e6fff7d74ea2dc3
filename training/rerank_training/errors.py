"""Every error the training room raises, as a tree.

TrainingError
├── DataError           a collection, run, pairs file or score cache is missing, malformed or inconsistent
├── MissingPackage      an optional package is needed for what was asked
├── ScorerError         a model cannot be opened or scored with
└── RunError            a training run cannot start, resume or go on
"""

INSTALL = "In the checkout: pip install -e '.[training]'"


class TrainingError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        tip: what the reader can do about it; None when the message already says it.
    """

    def __init__(self, message: str, *, tip: str | None = None) -> None:
        super().__init__(message)
        self.tip = tip


class DataError(TrainingError):
    """Text, judgements or scores are not what they should be."""


class MissingPackage(TrainingError):
    """An optional package is not installed."""


class ScorerError(TrainingError):
    """A model that was named cannot score."""


class RunError(TrainingError):
    """A training run cannot start, resume or go on."""
