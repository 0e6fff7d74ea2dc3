"""Reading config.json: values by name, and a clear error when one is missing or not of its kind."""

from typing import Any

from rerank_engine.errors import CheckpointError


def whole(config: dict[str, Any], name: str) -> int:
    """A positive whole number.

    Raises:
        CheckpointError: it is missing, not whole, or below 1.
    """
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CheckpointError(f"config.json: {name} is {value!r}. Must be a whole number of at least 1.")
    return value


def number(config: dict[str, Any], name: str, default: float) -> float:
    """A positive number, `default` when absent.

    Raises:
        CheckpointError: it is neither a number nor absent, or not above 0.
    """
    value = config.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise CheckpointError(f"config.json: {name} is {value!r}. Must be a number above 0.")
    return float(value)


def require(config: dict[str, Any], name: str, supported: object, *, default: object = None) -> None:
    """Raise CheckpointError unless `name` (or `default`, when absent) is the one value that is implemented."""
    value = config.get(name, default)
    if value != supported:
        raise CheckpointError(f"config.json: {name} is {value!r}. Only {supported!r} is implemented.")


def require_one_label(config: dict[str, Any]) -> None:
    """Raise CheckpointError unless the classifier has one label, which is also what silence means."""
    labels = config.get("num_labels")
    if labels is None:
        labels = len(config.get("id2label") or {"0": "relevance"})
    if labels != 1:
        raise CheckpointError(
            f"config.json: the classifier has {labels!r} labels. A reranker has 1: the relevance of the document."
        )
