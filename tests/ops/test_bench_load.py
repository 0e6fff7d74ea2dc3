"""The load test's own arithmetic, and a short run of it."""

import json

import pytest

from rerank_ops.bench import load


def test_the_slope_leaves_out_the_warm_up() -> None:
    """A line through (seconds, bytes) after the first fifth, in MB a minute."""
    warming = [(float(at), 1e9 * at) for at in range(20)]
    growing = [(float(at), 5e7 + at * 2**20 / 60) for at in range(20, 100)]

    assert pytest.approx(1.0) == load.slope_mb_per_minute([*warming, *growing])
    assert 0.0 == load.slope_mb_per_minute([(1.0, 5.0)])


def test_requests_are_the_same_every_time() -> None:
    """Runs can be compared: equal bodies, 24 of them, all different."""
    assert load.requests() == load.requests()
    assert 24 == len(set(load.requests()))


@pytest.mark.e2e
def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Against the demo model: no wrong score, no refusal without Retry-After, nothing broken."""
    load.main(["--seconds", "3", "--json"])

    report = json.loads(capsys.readouterr().out)
    known = {"right", "refused_with_Retry-After"}
    answered = {name: report[name] for name in report if name in known}
    assert report["sent"] == sum(answered.values())
    assert report["right"] > 0
