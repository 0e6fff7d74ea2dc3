"""Models of different shapes beside each other: what the shapes alone make of throughput, latency and memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rerank_ops.bench import model, peers
from rerank_ops.bench.race import Lane, Report, race
from rerank_ops.bench.results import cannot
from rerank_ops.bench.workload import Workload

SHAPES = ("tiny", "turbo", "base", "bge-reranker-base", "mxbai-rerank-base-v1")
CONTESTANTS = ("official-server", "cross-encoder", "transformers", "ours-fp32", "ours-mixed", "ours-bf16", "ours-cuda")
HEADERS = ("model", "million weights", "engine", "pairs/s", "over tiny", "ms a request", "peak MB", "model MB")


@dataclass(frozen=True, slots=True)
class Member:
    """One model's race.

    Attributes:
        name: its shape's.
        parameters: how many weights it has.
        file_bytes: of its weights as they are published.
        lanes: the engines.
        pairs: scored by each.
        missing: engines that could not run, and why.
    """

    name: str
    parameters: int
    file_bytes: int
    lanes: tuple[Lane, ...]
    pairs: int
    missing: dict[str, str] = field(default_factory=dict)


def measure(workload: Workload, *, max_length: int, threads: int, rounds: int, report: Report) -> list[Member]:
    """Race the engines on every shape with random weights, the same texts for all."""
    members = []
    for name in SHAPES:
        report(None, f"drawing the weights of {name}")
        with model.prepared(None, name, workload) as folder:
            size = (folder / "model.safetensors").stat().st_size
            names = _contestants(folder)
            limits = {"max_length": max_length, "threads": threads, "rounds": rounds}
            lanes, missing = race(names, folder, workload, report=report, **limits)
            if "cross-encoder" in missing:
                more, unable = race(["transformers"], folder, workload, report=report, **limits)
                lanes, missing = [*more, *lanes], missing | unable
            pairs = rounds * sum(len(documents) for _, documents in workload.requests)
            members.append(Member(name, _parameters(folder), size, tuple(lanes), pairs, missing))
    return members


def rows(members: Sequence[Member]) -> list[tuple[str, ...]]:
    """A line per model and engine, under HEADERS; speeds are against the same engine on the first model."""
    first = {lane.name: _per_s(members[0], lane) for lane in members[0].lanes}
    made: list[tuple[str, ...]] = []
    for member in members:
        for lane in member.lanes:
            speed = _per_s(member, lane)
            made.append(
                (
                    member.name,
                    f"{member.parameters / 1e6:,.0f}",
                    lane.name,
                    f"{speed:,.1f}",
                    f"{speed / first[lane.name]:.2f}×" if lane.name in first else "",
                    f"{1000 * sorted(lane.seconds)[len(lane.seconds) // 2]:,.0f}",
                    f"{lane.peak_bytes / 1e6:,.0f}",
                    f"{member.file_bytes / 1e6:,.0f}",
                )
            )
        for name, reason in member.missing.items():
            made.append((member.name, f"{member.parameters / 1e6:,.0f}", f"{name}: {cannot(reason)}", *("",) * 5))
    return made


def _contestants(folder: Path) -> list[str]:
    """Those that can run the model; transformers only where sentence-transformers, which is built on it, is not."""
    import json

    from rerank_engine.models import recognise

    family = recognise(json.loads((folder / "config.json").read_text(encoding="utf-8"))).family
    return [name for name in CONTESTANTS if name != "transformers" and peers.works_with(name, family)]


def _parameters(folder: Path) -> int:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="pt") as tensors:
        return sum(_count(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118 - no mapping


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _per_s(member: Member, lane: Lane) -> float:
    return member.pairs / sum(lane.seconds)
