"""Evaluations as tables for a person and as JSON for a program."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rerank_ops import console

if TYPE_CHECKING:
    from rerank_training.chunking import Chunking
    from rerank_training.evaluation import Result

SIGNIFICANT = 0.05


def print_table(
    collection: str, results: "Sequence[Result]", measures: Sequence[str], *, chunking: "Chunking", top: int
) -> None:
    """One row per model; the first of `results` is the baseline of the differences."""
    from rerank_training.metrics import title

    main, baseline = measures[0], results[0]
    rows: list[list[object]] = []
    for result in results:
        interval = result.interval(main)
        row: list[object] = [result.name, f"{interval.mean:.3f}", f"{interval.low:.3f}–{interval.high:.3f}"]
        if result is baseline:
            row += ["", "", ""]
        else:
            found = result.against(baseline, main)
            mark = " *" if found.p < SIGNIFICANT else ""
            row += [f"{found.mean:+.3f}", f"{found.low:+.3f}…{found.high:+.3f}", f"{found.p:.4f}{mark}"]
        row += [f"{statistics.fmean(result.values[name].values()):.3f}" for name in measures[1:]]
        rows.append([*row, f"{statistics.median(result.latency_ms):.0f}" if result.latency_ms else ""])
    queries = len(baseline.values[main])
    console.table(
        ["model", title(main), "95 %", f"to {baseline.name}", "95 %", "p", *map(title, measures[1:]), "ms"],
        rows,
        title=f"{collection}: {queries} queries, first {top}, {chunking} (ms per query; *: p < {SIGNIFICANT})",
    )


def print_means(found: "Mapping[str, Sequence[Result]]", measures: Sequence[str]) -> None:
    """Each measure's mean over the collections, every one counting alike, as BEIR's means are made."""
    from rerank_training.metrics import title

    console.table(
        ["model", *map(title, measures)],
        [[name, *(f"{value:.3f}" for value in values.values())] for name, values in means(found, measures).items()],
        title=f"Mean of {len(found)} collections: {', '.join(found)}",
    )


def means(found: "Mapping[str, Sequence[Result]]", measures: Sequence[str]) -> dict[str, dict[str, float]]:
    """By model, of those that ran on every collection."""
    rows: dict[str, list[Result]] = {}
    for results in found.values():
        for result in results:
            rows.setdefault(result.name, []).append(result)
    return {
        name: {m: statistics.fmean(statistics.fmean(r.values[m].values()) for r in results) for m in measures}
        for name, results in rows.items()
        if len(results) == len(found)
    }


def print_differences(results: "Sequence[Result]", measure: str, count: int) -> None:
    """The queries that each model won and lost most against the baseline."""
    baseline = results[0].values[measure]
    for result in results[1:]:
        changes = sorted(((value - baseline[query], query) for query, value in result.values[measure].items()))
        shown = [*changes[: -count - 1 : -1], *reversed(changes[:count])]
        console.table(
            ["query", results[0].name, result.name, "difference"],
            [
                [query, baseline[query], result.values[measure][query], f"{change:+.4f}"]
                for change, query in shown
                if change
            ],
            title=f"{result.name}: queries won and lost most, {measure}",
        )


def print_reported() -> None:
    """What others published."""
    from rerank_training.reported import REPORTED

    console.table(
        ["model", "measure", "reported", "to measure it yourself"],
        [[row.model, row.measure, row.value, row.command] for row in REPORTED],
        title="Reported by the models' authors; not measured here",
    )


def as_json(
    found: "Mapping[str, Sequence[Result]]",
    measures: Sequence[str],
    *,
    chunking: "Chunking",
    top: int,
    reported: bool,
) -> dict[str, Any]:
    """Everything, the values of every query included."""
    from rerank_training.reported import REPORTED

    collections = {
        name: [_result(result, results[0], measures) for result in results] for name, results in found.items()
    }
    answer: dict[str, Any] = {"top": top, "chunking": asdict(chunking), "collections": collections}
    if len(found) > 1:
        answer["means"] = means(found, measures)
    return answer | ({"reported": [asdict(row) for row in REPORTED]} if reported else {})


def _result(result: "Result", baseline: "Result", measures: Sequence[str]) -> dict[str, Any]:
    return {
        "model": result.name,
        "details": result.details,
        "measures": {name: asdict(result.interval(name)) for name in measures},
        "against": None
        if result is baseline
        else {"model": baseline.name, **{name: asdict(result.against(baseline, name)) for name in measures}},
        "latency_ms": {"median": statistics.median(result.latency_ms), "max": max(result.latency_ms)}
        if result.latency_ms
        else None,
        "per_query": result.values,
    }
