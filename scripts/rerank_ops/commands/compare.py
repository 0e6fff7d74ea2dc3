"""rerank compare: which of these models, by size, memory, speed and, where there is data, quality?"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, outputs, progress
from rerank_ops.comparison.shapes import SHAPES
from rerank_ops.errors import Refused, Usage

if TYPE_CHECKING:
    from rerank_ops.comparison.measure import Candidate


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "compare",
        help="models side by side: size, memory, speed, quality",
        description="Compare models on this machine: parameters, layers, window, size on disk, peak memory, pairs per "
        "second and latency on a fixed sample of text, and nDCG@10 where --data names a collection. Each model runs in "
        "a process of its own, in turn with the others. RERANK_* variables hold for all of them.",
        epilog="Speed depends on a model's shape, not on its weights: --random makes some up where there are none. "
        "On a machine that others use, RERANK_THREADS=1 gives steadier figures.",
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="checkpoint folder, model.tar.gz, or: demo")
    parser.add_argument(
        "--random",
        action="append",
        default=[],
        choices=tuple(SHAPES),
        metavar="SHAPE",
        help=f"a published shape with random weights; may be repeated: {', '.join(SHAPES)}",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often all are timed (default: 3)")
    parser.add_argument("--requests", type=int, default=8, metavar="N", help="requests of a round (default: 8)")
    parser.add_argument("--passages", type=int, default=10, metavar="N", help="passages of a request (default: 10)")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="collection in BEIR's layout, to measure nDCG@10 on"
    )
    parser.add_argument("--queries", type=int, default=0, metavar="N", help="of --data, the first N (default: all)")
    parser.add_argument(
        "--top", type=int, default=100, metavar="N", help="candidates per query of --data (default: 100)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the comparison as a page, too")
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Compares, reports, returns 0; errors are raised."""
    from rerank_ops.comparison import machine, page, quality, report, sample
    from rerank_ops.comparison.measure import measure

    if not args.models and not args.random:
        raise Usage(
            "No model is named.", tip="rerank compare dist/model.tar.gz --random tiny --random bge-reranker-base"
        )
    if min(args.rounds, args.requests, args.passages, args.top) < 1 or args.queries < 0:
        raise Refused("--rounds, --requests, --passages and --top must be at least 1, --queries at least 0.")
    if args.html:
        outputs.check_file(args.html, "--html")
    if args.data and args.models:
        quality.check(args.data)
    requests = sample.requests(args.requests, args.passages)
    with candidates(args.models, args.random) as (found, published):
        with progress.meter("compare") as meter:
            measured = measure(found, requests, rounds=args.rounds, report=meter)
        trained = [one for one, model in zip(found, measured, strict=True) if not model.about["random"]]
        judged, failed = None, None
        if args.data and trained:
            try:
                with progress.meter("quality") as meter:
                    judged = quality.evaluate(args.data, trained, queries=args.queries, top=args.top, report=meter)
            except (Exception, KeyboardInterrupt) as error:  # sizes and speed are told; then the error goes on
                failed = error
    names = {model.label: published.get(model.label, model.about["model"]) for model in measured}
    comparison = report.Comparison(
        models=measured,
        requests=args.requests,
        passages=args.passages,
        words=sample.mean_words(requests),
        machine=machine.describe(),
        quality=judged,
        reported=quality.reported(names),
    )
    if args.data and not trained:
        console.warn("--data is left aside: all the weights are random.")
    if failed is not None:
        console.warn("The quality could not be measured; this is what was.")
    if args.html:
        outputs.write(args.html, page.html(comparison))
        console.talk(f"Wrote {args.html}.")
    if args.json:
        console.emit(report.as_json(comparison) | ({} if failed is None else {"failed": str(failed)}))
    else:
        console.table(
            report.headers(comparison), report.rows(comparison), title="* random weights" if args.random else None
        )
        for text in (*comparison.remarks, comparison.method):
            console.talk(text)
    if failed is not None:
        raise failed
    return 0


@contextmanager
def candidates(models: list[str], shapes: list[str]) -> "Iterator[tuple[list[Candidate], dict[str, str]]]":
    """The models as folders, and which published model a label stands for; temporary folders are removed afterwards.

    Raises:
        NotFound, BundleError: a model cannot be opened.
        Refused: one is named twice.
    """
    from rerank_ops.comparison.measure import Candidate
    from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
    from rerank_ops.comparison.sample import text
    from rerank_ops.serving import model_folder

    with ExitStack() as opened:
        found = [Candidate(label(model), opened.enter_context(model_folder(model))) for model in models]
        published = {}
        for name in shapes:
            console.talk(f"Making up weights in the shape of {SHAPES[name].model}.")
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="rerank-random-")))
            called = f"{name}*"
            found.append(Candidate(called, make_random_checkpoint(folder, called, SHAPES[name], text())))
            published[called] = SHAPES[name].model
        labels = [candidate.label for candidate in found]
        if twice := {name for name in labels if labels.count(name) > 1}:
            raise Refused(f"{', '.join(sorted(twice))}: named twice, and rows could not be told apart.")
        yield found, published


def label(model: str) -> str:
    """How tables call a model that was named by its path: the end of it."""
    path = Path(model)
    return "/".join(path.parts[-2:]) if path.name == "model.tar.gz" and path.parent.name else path.name or model
