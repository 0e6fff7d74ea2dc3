"""What a benchmark found, as numbers for programs and as tables and a picture for people."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from rerank_ops.bench.agreement import largest_difference, mean_tau
from rerank_ops.bench.latency import Served
from rerank_ops.bench.peers import OURS
from rerank_ops.bench.race import Lane

HEADERS = ("engine", "pairs/s", "tokens/s", "speed", "CPU ms/pair", "CPU speed", "p50 s", "peak MB", "τ", "roof")


@dataclass(frozen=True, slots=True)
class Raced:
    """One workload's race.

    Attributes:
        workload: its name.
        pairs: scored by each engine.
        tokens: in them, without padding.
        padded_tokens: what batches of 32 in arrival order would have computed.
        lanes: the engines, the slowest kind first.
        missing: engines that could not run, and why.
        roofs: precision → operations a second of this machine's best matrix product.
        flops_per_token: of the matrix products.
    """

    workload: str
    pairs: int
    tokens: int
    padded_tokens: int
    lanes: tuple[Lane, ...]
    missing: dict[str, str]
    roofs: dict[str, float]
    flops_per_token: float


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that one run found."""

    machine: str
    model: str
    max_length: int
    threads: int
    raced: tuple[Raced, ...]
    served: dict[str, Served] = field(default_factory=dict)
    unserved: dict[str, str] = field(default_factory=dict)  # servers that could not run, and why

    @property
    def ran(self) -> bool:
        """Whether any engine did."""
        return any(raced.lanes for raced in self.raced)


def rows(raced: Raced) -> list[tuple[str, ...]]:
    """A line per engine, under HEADERS: speeds are against the first. Engines that could not run come last, and why."""
    blank = ("",) * (len(HEADERS) - 1)
    idle = [(f"{name}: {cannot(reason)}", *blank) for name, reason in raced.missing.items()]
    if not raced.lanes:
        return idle
    first = raced.lanes[0]
    reference = next((lane for lane in raced.lanes if lane.name == "ours-fp32"), first)
    made: list[tuple[str, ...]] = []
    for lane in raced.lanes:
        wall, cpu = sum(lane.seconds), sum(lane.cpu_s)
        made.append(
            (
                lane.name,
                f"{raced.pairs / wall:,.1f}",
                f"{raced.tokens / wall:,.0f}",
                f"{sum(first.seconds) / wall:.2f}×",
                f"{1000 * cpu / raced.pairs:.2f}",
                f"{sum(first.cpu_s) / cpu:.2f}×",
                f"{sorted(lane.seconds)[len(lane.seconds) // 2]:.2f}",
                f"{lane.peak_bytes / 1e6:,.0f}",
                f"{mean_tau(reference.logits, lane.logits):.4f}",
                _share(raced, lane, wall),
            )
        )
    return made + idle


def cannot(reason: str) -> str:
    """What is said of an engine that did not run."""
    return f"cannot run here: {reason}"


def ratios(raced: Raced) -> dict[str, float]:
    """The two ratios that matter of each of our lanes: against the first engine, and against the best other one."""
    others = [lane for lane in raced.lanes if lane.name not in OURS]
    found = {}
    for lane in raced.lanes:
        if lane.name in OURS and others:
            found[f"{lane.name} / {others[0].name}"] = sum(others[0].seconds) / sum(lane.seconds)
            best = min(others, key=lambda other: sum(other.seconds))
            found[f"{lane.name} / best other ({best.name})"] = sum(best.seconds) / sum(lane.seconds)
    return found


def as_json(bench: Bench) -> dict[str, Any]:
    """All of it, logits left out."""
    value = asdict(bench)
    for raced, shown in zip(bench.raced, value["raced"], strict=True):
        reference = next((lane for lane in raced.lanes if lane.name == "ours-fp32"), None) or next(
            iter(raced.lanes), None
        )
        for lane, entry in zip(raced.lanes, shown["lanes"], strict=True):
            del entry["logits"]
            assert reference is not None
            entry["tau"] = mean_tau(reference.logits, lane.logits)
            entry["largest_difference"] = largest_difference(reference.logits, lane.logits)
        shown["ratios"] = ratios(raced)
        statuses = {lane.name: "ran" for lane in raced.lanes} | {k: cannot(v) for k, v in raced.missing.items()}
        shown["engines"] = [{"engine": name, "status": status} for name, status in statuses.items()]
    for precision, served in bench.served.items():
        value["served"][precision]["gain"] = served.gain
    return value


def markdown(bench: Bench) -> str:
    """The tables, as scripts/BENCHMARKS.md has them."""
    lines = [f"{bench.machine}. Model {bench.model}, window {bench.max_length:,} tokens, {threads(bench)}.", ""]
    for raced in bench.raced:
        mean, extra = raced.tokens / raced.pairs, raced.padded_tokens / raced.tokens
        lines += [
            f"### {raced.workload}",
            "",
            f"{raced.pairs:,} pairs of {mean:,.0f} tokens on average; batches of 32 in arrival order pad them to "
            f"{extra:.2f} times that.",
            "",
            *table(HEADERS, rows(raced)),
            "",
            *(f"* {name}: {ratio:.2f}×" for name, ratio in ratios(raced).items()),
            *(f"* not run: {name} ({reason})" for name, reason in raced.missing.items()),
            "",
        ]
    lines += [f"* no server: {name} ({reason})\n" for name, reason in bench.unserved.items()]
    for precision, served in bench.served.items():
        lines += [
            f"### Through HTTP, {precision}, one document a request",
            "",
            f"Ready {served.start_s:.2f} s after its start; {served.peak_bytes / 1e6:,.0f} MB resident; "
            f"{served.levels[-1].callers} callers get {served.gain:.2f} times the answers of one.",
            "",
            *table(
                ("callers", "requests/s", "p50 ms", "p95 ms", "p99 ms"),
                [
                    (str(x.callers), f"{x.per_s:,.1f}", *(f"{ms:.1f}" for ms in (x.p50_ms, x.p95_ms, x.p99_ms)))
                    for x in served.levels
                ],
            ),
            "",
        ]
    return "\n".join(lines)


def threads(bench: Bench) -> str:
    """How many threads each engine had."""
    return f"{bench.threads} thread{'s' * (bench.threads != 1)}" if bench.threads else "as many threads as each chooses"


def chart(bench: Bench) -> str:
    """Tokens per second of every engine on every workload, as an SVG picture."""
    bars = [
        (f"{lane.name} · {raced.workload}", raced.tokens / sum(lane.seconds), lane.name in OURS)
        for raced in bench.raced
        for lane in raced.lanes
    ]
    idle = [(f"{name} · {raced.workload}", cannot(why)) for raced in bench.raced for name, why in raced.missing.items()]
    most, row, left, width = max((value for _, value, _ in bars), default=1.0), 26, 300, 900
    lines = len(bars) + len(idle)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {row * lines + 34}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{row * lines + 34}" fill="#ffffff"/>',
        f'<text x="{left}" y="18" fill="#5c6b7a">tokens per second, {escape(bench.model)}</text>',
    ]
    for place, (label, value, ours) in enumerate(bars):
        y, length = 28 + place * row, (width - left - 80) * value / most
        colour = "#2f6f9f" if ours else "#b6c2cd"
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end" fill="#1b2430">{escape(label)}</text>',
            f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{row - 8}" fill="{colour}"/>',
            f'<text x="{left + length + 6:.1f}" y="{y + 14}" fill="#1b2430">{value:,.0f}</text>',
        ]
    for place, (label, why) in enumerate(idle, start=len(bars)):
        y = 42 + place * row
        parts += [
            f'<text x="{left - 8}" y="{y}" text-anchor="end" fill="#1b2430">{escape(label)}</text>',
            f'<text x="{left}" y="{y}" fill="#5c6b7a">{escape(textwrap.shorten(why, 90, placeholder=" …"))}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _share(raced: Raced, lane: Lane, wall: float) -> str:
    precision = lane.name.removeprefix("ours-") if lane.name in OURS else "fp32"
    roof = raced.roofs.get(precision)
    if not roof or (lane.name.endswith("-int8") and lane.name not in OURS):
        return ""
    return f"{raced.tokens * raced.flops_per_token / wall / roof:.0%}"


def table(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rule = "|".join("---" if place == 0 else "---:" for place in range(len(headers)))
    return [f"| {' | '.join(headers)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in cells)]
