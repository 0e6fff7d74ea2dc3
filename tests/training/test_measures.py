"""Measures, intervals, significance."""

import math

import pytest

from rerank_training.errors import DataError
from rerank_training.intervals import bootstrap, compare
from rerank_training.metrics import DEFAULT, per_query

QRELS = {"q1": {"a": 1}, "q2": {"b": 1, "c": 1}, "q3": {"z": 1}}
RUN = {"q1": [("x", 3.0), ("a", 2.0)], "q2": [("b", 5.0), ("x", 4.0), ("c", 4.0)]}


def test_measures_are_those_worked_out_by_hand() -> None:
    """A relevant document second; two at ranks one and three; a query without an answer counts as 0."""
    values = per_query(QRELS, RUN)

    assert set(values) == set(DEFAULT)
    ideal = 1 + 1 / math.log2(3)
    assert values["nDCG@10"] == pytest.approx({"q1": 1 / math.log2(3), "q2": (1 + 1 / 2) / ideal, "q3": 0.0})
    assert values["RR@10"] == pytest.approx({"q1": 0.5, "q2": 1.0, "q3": 0.0})
    assert values["AP"] == pytest.approx({"q1": 0.5, "q2": (1 + 2 / 3) / 2, "q3": 0.0})
    assert values["R@100"] == pytest.approx({"q1": 1.0, "q2": 1.0, "q3": 0.0})
    assert values["Success@1"] == pytest.approx({"q1": 0.0, "q2": 1.0, "q3": 0.0})


def test_ties_keep_the_order_of_the_run() -> None:
    """Equal scores are not reordered by document id, as trec_eval would."""
    run = {"q": [("a", 1.0), ("b", 1.0)]}

    assert per_query({"q": {"a": 1}}, run, ["RR@10"])["RR@10"]["q"] == 1.0
    assert per_query({"q": {"b": 1}}, run, ["RR@10"])["RR@10"]["q"] == 0.5


def test_an_unknown_measure_is_an_error_with_a_tip() -> None:
    """Its name is in the message."""
    with pytest.raises(DataError, match="nDCGG"):
        per_query(QRELS, RUN, ["nDCGG@10"])


def test_an_interval_holds_the_mean_and_narrows_with_more_queries() -> None:
    """And it is the same on each call."""
    few, many = [0.0, 1.0, 1.0, 0.5] * 5, [0.0, 1.0, 1.0, 0.5] * 100

    short, long = bootstrap(few), bootstrap(many)

    assert short.low < short.mean < short.high
    assert long.high - long.low < short.high - short.low
    assert bootstrap(few) == short


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    """Of 200 samples of 60 coin flips, 95 % intervals miss the truth in few."""
    import numpy as np

    rng = np.random.default_rng(0)
    found = [bootstrap(list(rng.integers(0, 2, 60).astype(float)), rounds=500, seed=n) for n in range(200)]
    covered = sum(interval.low <= 0.5 <= interval.high for interval in found)

    assert 178 <= covered <= 200


def test_models_that_are_alike_do_not_differ() -> None:
    """Equal values: difference 0, p = 1."""
    found = compare([0.2, 0.8, 1.0], [0.2, 0.8, 1.0])

    assert (found.mean, found.p, found.better, found.worse) == (0.0, 1.0, 0, 0)


def test_a_steady_gain_is_significant_and_a_scattered_one_is_not() -> None:
    """p is small when nearly every query gains, large when gains and losses cancel."""
    baseline = [0.5] * 40

    steady = compare([0.6] * 40, baseline)
    scattered = compare([0.9, 0.1] * 20, baseline)

    assert steady.p < 0.001
    assert (steady.better, steady.worse) == (40, 0)
    assert scattered.p > 0.5
