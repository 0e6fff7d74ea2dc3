"""rerank bench: this engine against others, on the same text, weights and machine, turn and turn about."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, outputs, progress
from rerank_ops.comparison.shapes import SHAPES
from rerank_ops.errors import NotFound, Unfinished, Usage

if TYPE_CHECKING:
    from rerank_ops.bench.latency import Served
    from rerank_ops.bench.results import Raced
    from rerank_ops.bench.workload import Workload

EPILOG = """\
examples:
  rerank bench                                        the shape of tiny, texts of usual lengths
  rerank bench --collection data/xquad-en             a collection in BEIR's layout with its BM25 run
  rerank bench --model ./checkpoint --peer ours-bf16 --peer ours-int8
  rerank bench --http 5 --markdown table.md --chart bench.svg
  rerank bench --family --requests 2 --documents 16   five published shapes beside each other
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    from rerank_ops.bench.peers import PEERS

    parser = subparsers.add_parser(
        "bench",
        help="this engine against others: speed, memory, agreement",
        description="Time engines on the same requests, each in a process of its own, in turn: text in, scores out.",
        epilog=EPILOG + "\nengines:\n" + "\n".join(f"  {name:18} {text}" for name, text in PEERS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="checkpoint; default: random weights of --shape")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="tiny", help="default: tiny")
    parser.add_argument(
        "--collection", type=Path, action="append", default=[], metavar="FOLDER", help="may be repeated"
    )
    parser.add_argument(
        "--peer", action="append", default=[], choices=tuple(PEERS), metavar="NAME", help="default: all"
    )
    parser.add_argument(
        "--requests", type=console.at_least(1), default=3, metavar="N", help="of each workload (default: 3)"
    )
    parser.add_argument(
        "--documents", type=console.at_least(1), default=64, metavar="N", help="of each request (default: 64)"
    )
    parser.add_argument(
        "--rounds", type=console.at_least(1), default=1, metavar="N", help="of all requests (default: 1)"
    )
    parser.add_argument(
        "--max-length", type=console.at_least(1), default=1024, metavar="N", help="tokens of a pair (default: 1024)"
    )
    parser.add_argument(
        "--threads", type=console.at_least(0), default=0, metavar="N", help="of each engine; 0: its own choice"
    )
    parser.add_argument("--http", type=float, default=0.0, metavar="S", help="seconds per concurrency through HTTP")
    parser.add_argument(
        "--starts", type=console.at_least(1), default=5, metavar="N", help="of the server, with --http (default: 5)"
    )
    parser.add_argument("--family", action="store_true", help="tiny, turbo, base, bge and mxbai instead of one model")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="write a picture (SVG)")
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Races, reports, returns 0; errors are raised."""
    from rerank_ops.bench import model, results
    from rerank_ops.comparison import machine

    if args.model is not None and not (args.model / "config.json").is_file():
        raise NotFound(f"{args.model} has no config.json.", tip="Name a checkpoint folder, or leave --model away.")
    if args.http < 0:
        raise Usage("--http is a number of seconds, 0 for none.")
    for path, flag in ((args.markdown, "--markdown"), (args.chart, "--chart")):
        outputs.check_file(path, flag)
    if args.family:
        return _family(args)
    raced: list[Raced] = []
    served: dict[str, Served] = {}
    unserved: dict[str, str] = {}
    with progress.meter("bench") as report:
        workloads = _workloads(args)
        for number, workload in enumerate(workloads):
            with model.prepared(args.model, args.shape, workload) as folder:
                raced.append(_race(args, folder, workload, report))
                if args.http and number == len(workloads) - 1:
                    served, unserved = _served(args, folder, workload, report, raced[-1].missing)
    name = str(args.model) if args.model else f"{args.shape}, random weights"
    found = results.Bench(machine.describe(), name, args.max_length, args.threads, tuple(raced), served, unserved)
    for path, text in ((args.markdown, results.markdown), (args.chart, results.chart)):
        if path is not None:
            outputs.write(path, text(found))
    if not found.ran:
        console.error("No engine could run here.", "--json and the table say why; --peer names others.")
    if args.json:
        console.emit(results.as_json(found))
        return 0 if found.ran else 1
    for race in raced:
        console.table(results.HEADERS, results.rows(race), title=f"{race.workload}, {race.pairs:,} pairs")
    for precision, seen in served.items():
        levels = [
            (x.callers, f"{x.per_s:,.1f}", *(f"{v:.1f}" for v in (x.p50_ms, x.p95_ms, x.p99_ms))) for x in seen.levels
        ]
        title = f"through HTTP, {precision}, one a request; ready after {seen.start_s:.2f} s, gain {seen.gain:.2f}×"
        console.table(("callers", "requests/s", "p50 ms", "p95 ms", "p99 ms"), levels, title=title)
    for name, reason in unserved.items():
        console.talk(f"No server in {name}: {results.cannot(reason)}")
    return 0 if found.ran else 1


def _served(
    args: argparse.Namespace, folder: Path, workload: "Workload", report: progress.Meter, missing: Mapping[str, str]
) -> "tuple[dict[str, Served], dict[str, str]]":
    """By precision the server's latencies, with the workload's documents and with their first words; and why not.

    Engines that are `missing` from the race are not served, for the same reason.
    """
    from rerank_ops.bench import latency
    from rerank_ops.bench.peers import OURS, has_gpu
    from rerank_ops.bench.workload import snippets

    found: dict[str, Served] = {}
    unable: dict[str, str] = {}
    for name in OURS:
        if name not in (args.peer or OURS) or (name == "ours-cuda" and not has_gpu()):
            continue
        precision, device = name.removeprefix("ours-"), "cpu"
        if name == "ours-cuda":
            precision, device = "auto", "cuda"
        for texts, starts in ((workload, args.starts), (snippets(workload), 1)):
            report(None, f"serving {name}, {texts.name}")
            called = f"{name.removeprefix('ours-')}, {texts.name}"
            if name in missing:
                unable[called] = missing[name]
                continue
            try:
                found[called] = latency.measure(
                    folder,
                    texts.requests,
                    precision=precision,
                    callers=(1, 4, 16),
                    seconds=args.http,
                    starts=starts,
                    device=device,
                )
            except Unfinished as error:
                unable[called] = str(error)
    return found, unable


def _family(args: argparse.Namespace) -> int:
    from rerank_ops.bench import family, results
    from rerank_ops.comparison import machine

    passages = _workloads(args)[-1]
    with progress.meter("bench") as report:
        limits = {"max_length": min(args.max_length, 512), "threads": args.threads, "rounds": args.rounds}
        members = family.measure(passages, report=report, **limits)  # 512: bge's and mxbai's window
    if args.markdown is not None:
        about = f"{machine.describe()}. {passages.name}, random weights, {args.documents} documents a request."
        table = results.table(family.HEADERS, family.rows(members))
        outputs.write(args.markdown, "\n".join([about, "", *table, ""]))
    if args.json:
        console.emit([dict(zip(family.HEADERS, row, strict=True)) for row in family.rows(members)])
    else:
        console.table(family.HEADERS, family.rows(members))
    return 0


def _workloads(args: argparse.Namespace) -> "list[Workload]":
    from rerank_ops.bench import workload

    size = {"requests": args.requests, "documents": args.documents}
    if args.collection:
        return [workload.read_collection(folder, **size) for folder in args.collection]
    return [workload.generate(kind, **size) for kind in workload.DISTRIBUTIONS]


def _race(args: argparse.Namespace, folder: Path, workload: "Workload", report: progress.Meter) -> "Raced":
    from rerank_engine.models import recognise
    from rerank_ops.bench import peers, roof
    from rerank_ops.bench.race import race
    from rerank_ops.bench.results import Raced

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    family = recognise(config).family
    names = [name for name in args.peer or peers.PEERS if peers.works_with(name, family)]
    limits = {"max_length": args.max_length, "threads": args.threads}
    jina = family == "jina_bert"
    precisions = [name.removeprefix("ours-") for name in names if name in peers.ON_CPU] if jina else []
    report(None, "measuring the machine's matrix products")
    roofs = [_roofs(precisions, config, args.threads)]
    lanes, missing = race(names, folder, workload, rounds=args.rounds, report=report, **limits)
    report(None, "measuring the machine's matrix products again")  # the better counts: one moment may be a busy one
    roofs += [_roofs(precisions, config, args.threads)]
    lengths = _lengths(folder, workload, args.max_length)
    ran = [name for name in roofs[0].keys() & roofs[1].keys() if f"ours-{name}" not in missing]
    return Raced(
        workload=workload.name,
        pairs=args.rounds * sum(map(len, lengths)),
        tokens=args.rounds * sum(map(sum, lengths)),
        padded_tokens=args.rounds * sum(_padded(request) for request in lengths),
        lanes=tuple(lanes),
        missing=missing,
        roofs={name: max(measured[name] for measured in roofs) for name in ran},
        flops_per_token=roof.matrix_flops_per_token(config) if jina else 0.0,
    )


def _roofs(precisions: list[str], config: dict[str, Any], threads: int) -> dict[str, float]:
    """The machine's rate by precision, without those it has no product for: their engines say so in their rows."""
    from rerank_ops.bench import roof

    found = {}
    for name in precisions:
        with suppress(RuntimeError):
            found[name] = roof.measure(name, config, threads=threads)
    return found


def _lengths(folder: Path, workload: "Workload", max_length: int) -> list[list[int]]:
    """Tokens of every pair, by request."""
    from rerank_engine.reranker.engine import Reranker
    from rerank_engine.settings import Settings
    from rerank_engine.types import RerankOptions

    reranker = Reranker.load(folder, Settings(max_length=max_length, device="cpu", precision="fp32"))
    cut = RerankOptions(max_chunks_per_document=1)
    prepared = [reranker.prepare(query, documents, cut) for query, documents in workload.requests]
    return [[len(pair.ids) for pair in request.pairs] for request in prepared]


def _padded(lengths: list[int], batch: int = 32) -> int:
    batches = [lengths[start : start + batch] for start in range(0, len(lengths), batch)]
    return sum(len(some) * max(some) for some in batches)
