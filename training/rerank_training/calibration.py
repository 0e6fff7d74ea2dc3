"""Fitting σ(a·logit + b) to labelled pairs, and how far scores were from probabilities before and after.

Platt scaling by Newton's method as Lin, Lin and Weng have it (A Note on Platt's Probabilistic Outputs for Support
Vector Machines, 2007); temperature scaling is the same with b = 0: Guo et al. (2017), https://arxiv.org/abs/1706.04599,
whose expected calibration error over 15 bins of equal width is the one measured here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerank_training.errors import DataError

METHODS = ("platt", "temperature")
BINS = 15
_MOST_STEPS = 100
_FLAT = 1e-10  # of the gradient: then the optimum is reached
_RIDGE = 1e-12
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """What was fitted.

    Attributes:
        method: platt or temperature.
        a: factor of the logit, positive.
        b: shift in logits; 0 for temperature.
    """

    method: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How good probabilities are.

    Attributes:
        log_loss: mean negative log-likelihood, in nats; 0.693 is a coin.
        ece: expected calibration error: mean distance between confidence and share of relevant pairs.
    """

    log_loss: float
    ece: float


def fit(logits: Sequence[float] | Vector, labels: Sequence[float] | Vector, method: str = "platt") -> Fit:
    """Fit a calibration.

    Args:
        logits: (N,) raw scores.
        labels: (N,) 1 for relevant, 0 for not.
        method: platt or temperature.

    Raises:
        DataError: there are no pairs of one kind, a number is not finite, or relevant pairs do not score higher.
    """
    x, y = _checked(logits, labels)
    relevant = float(y.sum())
    others = len(y) - relevant
    if method == "platt":  # Platt's prior, so that separable pairs do not end in certainty
        y = np.where(y > 0.5, (relevant + 1) / (relevant + 2), 1 / (others + 2))
    columns = np.stack([x, np.ones_like(x)], axis=1) if method == "platt" else x[:, None]  # (N, 2) or (N, 1)
    weights = _newton(columns, y)
    a, b = float(weights[0]), float(weights[1]) if method == "platt" else 0.0
    if not a > 0:
        raise DataError(
            f"Relevant pairs do not score higher than others (a = {a:.4g}).", tip="Are the labels the right way round?"
        )
    return Fit(method, a, b)


def quality(logits: Sequence[float] | Vector, labels: Sequence[float] | Vector, found: Fit | None = None) -> Quality:
    """Log-loss and calibration error of σ(a·logit + b); of plain sigmoids without `found`."""
    x, y = _checked(logits, labels)
    z = x if found is None else found.a * x + found.b
    loss = float(np.mean(np.logaddexp(0.0, z) - y * z))
    p = _sigmoid(z)
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    error = sum(
        abs(float(p[bins == at].mean() - y[bins == at].mean())) * float(np.mean(bins == at)) for at in set(bins)
    )
    return Quality(loss, float(error))


def cross_validated(
    logits: Vector, labels: Vector, groups: Sequence[str], method: str, *, folds: int = 5
) -> Quality | None:
    """The quality on pairs that were not fitted on: each query's by a fit on the other folds; None with too few."""
    order = {group: number % folds for number, group in enumerate(dict.fromkeys(groups))}
    fold = np.array([order[group] for group in groups])
    calibrated = np.empty_like(logits)
    for number in range(folds):
        rest, held = fold != number, fold == number
        try:
            found = fit(logits[rest], labels[rest], method)
        except DataError:
            return None
        calibrated[held] = found.a * logits[held] + found.b
    return quality(calibrated, labels)


def _checked(logits: Sequence[float] | Vector, labels: Sequence[float] | Vector) -> tuple[Vector, Vector]:
    x, y = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(f"{x.shape} scores for {y.shape} labels.")
    if not np.isfinite(x).all() or not np.isin(y, (0.0, 1.0)).all():
        raise DataError("Scores must be finite, labels 0 or 1.")
    if not 0 < y.sum() < len(y):
        raise DataError(f"{int(y.sum())} of {len(y)} pairs are relevant: both kinds are needed.")
    return x, y


def _newton(columns: Vector, targets: Vector) -> Vector:
    """Weights (D,) of the logistic regression of targets (N,) on columns (N, D), its loss convex."""

    def loss(weights: Vector) -> float:
        z = columns @ weights
        return float(np.sum(np.logaddexp(0.0, z) - targets * z))

    weights = np.zeros(columns.shape[1])
    weights[0] = 1.0
    for _ in range(_MOST_STEPS):
        p = _sigmoid(columns @ weights)
        gradient = columns.T @ (p - targets)
        if np.abs(gradient).max() < _FLAT * len(targets):
            break
        hessian = (columns * (p * (1 - p))[:, None]).T @ columns + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(hessian, gradient)
        size, before = 1.0, loss(weights)
        while loss(weights - size * step) > before - 1e-4 * size * float(gradient @ step) and size > 1e-10:
            size /= 2
        weights = weights - size * step
    return weights


def _sigmoid(z: Vector) -> Vector:
    return np.exp(-np.logaddexp(0.0, -z))
