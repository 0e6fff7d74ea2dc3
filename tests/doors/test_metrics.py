"""Prometheus' text format."""

import threading

from rerank_engine.telemetry.metrics import Counter, Gauge, Histogram, exposition


def test_page() -> None:
    """Counters, gauges and histograms as the format has them: help, type, cumulative buckets, sum, count."""
    counter = Counter("a_total", "How many.\nTwo lines \\ backslash.")
    counter.add(path="/x", status="200")
    counter.add(2.5, path="/x", status="200")
    counter.add(path='quote " \\ \n', status="500")
    histogram = Histogram("b_seconds", "How long.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    gauge = Gauge("c", "Now.", lambda: 3)

    actual = exposition([counter, histogram, gauge])

    expected = r"""# HELP a_total How many.\nTwo lines \\ backslash.
# TYPE a_total counter
a_total{path="/x",status="200"} 3.5
a_total{path="quote \" \\ \n",status="500"} 1
# HELP b_seconds How long.
# TYPE b_seconds histogram
b_seconds_bucket{le="0.1"} 2
b_seconds_bucket{le="1"} 3
b_seconds_bucket{le="+Inf"} 4
b_seconds_sum 7.65
b_seconds_count 4
# HELP c Now.
# TYPE c gauge
c 3
"""
    assert expected == actual


def test_counters_lose_nothing_between_threads() -> None:
    """Concurrent additions all count."""
    counter = Counter("a_total", "How many.")
    threads = [threading.Thread(target=lambda: [counter.add() for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [("", (), 8000.0)] == counter.samples()
