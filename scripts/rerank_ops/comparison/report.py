"""A comparison as rows of a table and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rerank_ops.comparison.measure import Measured
from rerank_ops.comparison.quality import Quality

SIZES = ("model", "M weights", "layers", "window", "disk MB", "peak MB")
SPEEDS = ("pairs/s", "speed ×", "p50 ms", "p95 ms")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that was found out.

    Attributes:
        models: in the order in which they were named; speeds are against the first.
        requests: how many requests a round had.
        passages: passages of each.
        words: of a passage, on average.
        machine: what it ran on.
        quality: on a collection; None when none was given.
        reported: published figures by label: nDCG@10 on BEIR, not measured here.
    """

    models: Sequence[Measured]
    requests: int
    passages: int
    words: int
    machine: str
    quality: Quality | None
    reported: dict[str, str]

    @property
    def random(self) -> list[str]:
        """Labels of the models whose weights are random."""
        return [model.label for model in self.models if model.about["random"]]

    @property
    def method(self) -> str:
        """How it was measured, in sentences."""
        rounds = len(self.models[0].seconds)
        tokens = sorted(model.tokens_per_pair for model in self.models)
        span = f"{tokens[0]:.0f}" if round(tokens[0]) == round(tokens[-1]) else f"{tokens[0]:.0f}–{tokens[-1]:.0f}"
        return (
            f"{rounds} rounds of {self.requests} requests with {self.passages} passages each ({self.words} words on "
            f"average, {span} tokens a pair), each model in a process of its own, turn and turn about, on "
            f"{self.machine}. pairs/s: of the median round. speed: how many times as fast as {self.models[0].label}, "
            "median over rounds. p50, p95: of a request, from text to ranking. peak MB: of the process, Python and "
            "PyTorch included; weights that run in the precision they are stored in count as far as they were read."
        )

    @property
    def remarks(self) -> list[str]:
        """What a reader must know besides."""
        found = []
        if self.random:
            found.append(
                f"Random weights: {', '.join(self.random)}. Size, memory and speed are those of the published shape; "
                "such models have no quality."
            )
        if quality := self.quality:
            found.append(
                f"nDCG@10: BM25's first {quality.top} of {quality.collection} reranked, {quality.queries} queries; "
                f"BM25 itself {quality.first_stage:.3f}."
            )
        if self.reported:
            found.append(
                "BEIR: mean nDCG@10 as reported by the models' publishers, not measured here; rerank evaluate with "
                "--reported lists the commands that would."
            )
        return found


def headers(comparison: Comparison) -> tuple[str, ...]:
    """Heads of the columns."""
    quality = ("nDCG@10",) if comparison.quality else ()
    return (*SIZES, *SPEEDS, *quality, *(("BEIR",) if comparison.reported else ()))


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row per model, as text."""
    first = comparison.models[0]
    found = []
    for model in comparison.models:
        about = model.about
        row = [
            model.label,
            f"{about['parameters'] / 1e6:,.1f}",
            str(about["layers"]),
            f"{about['window']:,}",
            f"{model.disk_bytes / 1e6:,.0f}",
            "" if model.memory_bytes is None else f"{model.memory_bytes / 1e6:,.0f}",
            f"{model.pairs_per_s:,.1f}",
            f"{model.speed_against(first):.2f}",
            f"{model.latency_s(50) * 1e3:,.0f}",
            f"{model.latency_s(95) * 1e3:,.0f}",
        ]
        if comparison.quality:
            interval = comparison.quality.models.get(model.label)
            row.append("–" if interval is None else "{:.3f} [{:.3f}, {:.3f}]".format(*interval))
        if comparison.reported:
            row.append(comparison.reported.get(model.label, ""))
        found.append(tuple(row))
    return found


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison for programs; seconds, bytes and ratios as numbers."""
    quality, first = comparison.quality, comparison.models[0]
    return {
        "machine": comparison.machine,
        "sample": {
            "requests": comparison.requests,
            "passages": comparison.passages,
            "words_per_passage": comparison.words,
            "rounds": len(first.seconds),
        },
        "quality": quality
        and {
            "collection": quality.collection,
            "queries": quality.queries,
            "top": quality.top,
            "measure": "nDCG@10",
            "first_stage": quality.first_stage,
        },
        "models": [
            {
                "label": model.label,
                **model.about,
                "disk_bytes": model.disk_bytes,
                "memory_bytes": model.memory_bytes,
                "gpu_memory_bytes": model.gpu_memory_bytes,
                "tokens_per_pair": model.tokens_per_pair,
                "pairs_per_s": model.pairs_per_s,
                "speed_against_first": model.speed_against(first),
                "cpu_s_per_pair": model.cpu_s_per_pair,
                "latency_s": {"p50": model.latency_s(50), "p95": model.latency_s(95)},
                "ndcg_at_10": quality and quality.models.get(model.label) and quality.models[model.label][0],
                "reported_beir_ndcg_at_10": comparison.reported.get(model.label),
            }
            for model in comparison.models
        ],
        "remarks": comparison.remarks,
    }
