"""rerank calibrate: make a bundle's scores mean probabilities, from labelled pairs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console, outputs, progress
from rerank_ops.commands.package import OUTPUT
from rerank_ops.errors import NotFound, Refused

if TYPE_CHECKING:
    from rerank_ops.evaluation.labelled import Pair
    from rerank_training.calibration import Fit, Quality

DATA = """\
labelled pairs:
  a file      JSON Lines: {"query": "…", "document": "…", "label": 1}; labels are 0 or 1, true or false
  a folder    a collection in BEIR's layout: its judged documents, and among BM25's best --top per query those without a
              judgement as not relevant (a few of them will be: scores come out a little low)
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "calibrate",
        help="fit probabilities on labelled pairs, into a bundle",
        description='Fit σ(a·logit + b) on labelled pairs and write it into the bundle: requests with "score": '
        '"calibrated" then get probabilities of relevance. The order of documents stays. Reports log-loss and expected '
        "calibration error before and after, on pairs of queries that were not fitted on.",
        epilog=DATA,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help=f"model.tar.gz, such as {OUTPUT}")
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="labelled pairs; see below")
    parser.add_argument(
        "--method", default="platt", choices=("platt", "temperature"), help="platt: a and b; temperature: a alone"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the new bundle (default: in BUNDLE's place)")
    parser.add_argument("--dry-run", action="store_true", help="report, and write nothing")
    parser.add_argument("--split", default="test", help="of a collection: qrels/SPLIT.tsv (default: test)")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="of a collection: BM25's best (default: 20)")
    parser.add_argument(
        "--queries", type=int, default=0, metavar="N", help="of a collection: the first N (default: all)"
    )
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Scores, fits, reports, writes; returns 0."""
    import numpy as np

    from rerank_bundle.recalibrate import recalibrate
    from rerank_ops.evaluation.labelled import from_collection, from_file
    from rerank_training.calibration import cross_validated, fit, quality

    if args.top < 1:
        raise Refused(f"--top is {args.top}. Must be at least 1.")
    if not args.bundle.is_file():
        raise NotFound(f"{args.bundle} is not a bundle.", tip="Build one with `rerank package`.")
    _check(args)
    pairs = (
        from_collection(args.pairs, split=args.split, top=args.top, queries=args.queries)
        if args.pairs.is_dir()
        else from_file(args.pairs)
    )
    logits = np.array(_scores(args.bundle, pairs))
    labels = np.array([float(pair.relevant) for pair in pairs])
    found = fit(logits, labels, args.method)
    before = quality(logits, labels)
    held_out = cross_validated(logits, labels, [pair.query for pair in pairs], args.method)
    after = held_out or quality(logits, labels, found)
    written = None
    if not args.dry_run:
        written = recalibrate(args.bundle, args.output or args.bundle, method=found.method, a=found.a, b=found.b)
    if args.json:
        told = None if written is None else {"path": str(written.path), "sha256": written.sha256, "size": written.size}
        console.emit(
            {
                "pairs": len(pairs),
                "relevant": int(labels.sum()),
                "calibration": {"method": found.method, "a": found.a, "b": found.b},
                "before": {"log_loss": before.log_loss, "ece": before.ece},
                "after": {"log_loss": after.log_loss, "ece": after.ece, "held_out": held_out is not None},
                "bundle": told,
            }
        )
        return 0
    _report(pairs, found, before, after, held_out=held_out is not None)
    if written is not None:
        console.talk(f"Wrote {written.path} ({written.size:,} bytes, sha256 {written.sha256}).")
    return 0


def _check(args: argparse.Namespace) -> None:
    """What the command reads and writes, before any pair is scored."""
    if args.pairs.is_dir():
        from rerank_training.beir import require_collection
        from rerank_training.bm25 import require_bm25

        require_collection(args.pairs, args.split)
        require_bm25()
    if not args.dry_run:
        outputs.check_file(args.output or args.bundle, "--output" if args.output else "BUNDLE")


def _scores(bundle: Path, pairs: "list[Pair]") -> list[float]:
    """Raw logits of the pairs, in order."""
    from rerank_training.scorers.engine import EngineScorer

    scorer = EngineScorer(bundle)
    at_of: dict[str, list[int]] = {}
    for at, pair in enumerate(pairs):
        at_of.setdefault(pair.query, []).append(at)
    logits = [0.0] * len(pairs)
    with progress.meter("score") as report:
        pace, of = progress.Pace(report), len(at_of)
        for done, (query, places) in enumerate(at_of.items()):
            pace(done, of, f"query {done + 1} of {of}")
            for at, logit in zip(places, scorer.score(query, [pairs[at].document for at in places]), strict=True):
                logits[at] = logit
        pace(of, of, f"query {of} of {of}")
    return logits


def _report(pairs: "list[Pair]", found: "Fit", before: "Quality", after: "Quality", *, held_out: bool) -> None:
    relevant = sum(pair.relevant for pair in pairs)
    console.table(
        ("scores", "log-loss", "calibration error"),
        [
            ("sigmoid", before.log_loss, before.ece),
            ("calibrated" + (", held out" if held_out else ", on the same pairs"), after.log_loss, after.ece),
        ],
        title=f"{len(pairs)} pairs, {relevant} relevant: {found.method}, σ({found.a:.4f} · logit {found.b:+.4f})",
    )
