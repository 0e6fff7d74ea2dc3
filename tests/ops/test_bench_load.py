"""The load test's own arithmetic, and a short run of it."""

import json

import pytest

from rerank_ops.bench import load


def test_growth_leaves_out_the_warm_up() -> None:
    """The last quarter against the second one: what fills up at first does not count, what creeps does."""
    warming = [(float(at), 1e8 + at) for at in range(20)]
    flat = [(float(at), 4e8 + at % 7) for at in range(20, 80)]
    creeping = [(float(at), 4e8 * (1 + at / 100)) for at in range(20, 80)]

    assert pytest.approx(0.0, abs=1e-6) == load.growth([*warming, *flat])
    assert load.growth([*warming, *creeping]) > 0.25
    assert 0.0 == load.growth([(1.0, 5.0)])


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
