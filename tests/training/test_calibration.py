"""Probabilities from logits: the fit is the optimum, and the measures are what they say."""

import math

import numpy as np
import pytest

from rerank_training.calibration import Fit, cross_validated, fit, quality
from rerank_training.errors import DataError


def sample(a: float, b: float, number: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are 1 with probability σ(a·logit + b)."""
    random = np.random.default_rng(7)
    logits = random.normal(0.0, 2.0, number)
    return logits, (random.random(number) < 1 / (1 + np.exp(-(a * logits + b)))).astype(float)


def test_platt_finds_what_the_labels_were_drawn_from() -> None:
    """a and b come back within the error of the sample."""
    found = fit(*sample(0.5, -1.5))

    assert ("platt", pytest.approx(0.5, abs=0.03), pytest.approx(-1.5, abs=0.05)) == (found.method, found.a, found.b)


def test_temperature_has_no_shift() -> None:
    """Temperature scaling finds a alone."""
    found = fit(*sample(2.0, 0.0), method="temperature")

    assert ("temperature", pytest.approx(2.0, abs=0.1), 0.0) == (found.method, found.a, found.b)


@pytest.mark.parametrize("method", ["platt", "temperature"])
def test_no_neighbour_is_better(method: str) -> None:
    """The fit minimises log-loss: a step in any direction makes it worse (Platt's prior aside, which is small here)."""
    logits, labels = sample(0.7, 0.4)
    best = fit(logits, labels, method)
    shifts = (-0.02, 0.0, 0.02) if method == "platt" else (0.0,)

    around = [
        quality(logits, labels, Fit(method, best.a + da, best.b + db)).log_loss
        for da in (-0.02, 0.0, 0.02)
        for db in shifts
        if (da, db) != (0.0, 0.0)
    ]

    assert quality(logits, labels, best).log_loss < min(around)


def test_calibration_helps_on_queries_that_were_not_fitted_on() -> None:
    """Log-loss and calibration error fall, held out."""
    logits, labels = sample(0.3, -2.0, 5000)
    groups = [f"query {number % 100}" for number in range(5000)]

    before, after = quality(logits, labels), cross_validated(logits, labels, groups, "platt")

    assert after is not None
    assert after.log_loss < before.log_loss
    assert after.ece < 0.03 < before.ece


def test_separable_pairs_end_in_no_certainty() -> None:
    """Pairs that a threshold tells apart give finite numbers, thanks to Platt's prior."""
    found = fit([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])

    assert math.isfinite(found.a)
    assert quality([3.0, -3.0], [1, 0], found).log_loss < 0.4


def test_measures_of_known_numbers() -> None:
    """A coin costs ln 2 and is calibrated; certainty that is wrong half of the time is off by half."""
    coin, sure = quality([0.0, 0.0], [0, 1]), quality([50.0, 50.0], [0, 1])

    assert (pytest.approx(math.log(2)), pytest.approx(0.0)) == (coin.log_loss, coin.ece)
    assert (pytest.approx(25.0), pytest.approx(0.5)) == (sure.log_loss, sure.ece)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "2 of 2 pairs are relevant"),
        ([], [], "0 of 0 pairs are relevant"),
        ([1.0, math.nan], [0, 1], "must be finite"),
        ([1.0, 2.0], [0, 2], "labels 0 or 1"),
        ([1.0], [0, 1], "scores for"),
        ([2.0, 1.0, -1.0, -2.0], [0, 0, 1, 1], "do not score higher"),
    ],
)
def test_what_cannot_be_fitted(logits: list[float], labels: list[float], message: str) -> None:
    """Each is an error that says why."""
    with pytest.raises(DataError, match=message):
        fit(logits, labels)


def test_too_few_queries_are_not_held_out() -> None:
    """Where a fold has pairs of one kind only there is nothing to say."""
    assert cross_validated(np.array([1.0, -1.0]), np.array([1.0, 0.0]), ["q", "q"], "platt") is None
