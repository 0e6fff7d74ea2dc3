"""rerank distill: teach a small cross-encoder what a larger model knows."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops.errors import Refused
from rerank_ops.training_options import data_options, loop_flags, loop_options

if TYPE_CHECKING:
    from rerank_training.distill import RunOptions

EPILOG = """\
PAIRS are JSON Lines (.gz too): {"query", "passage"[, "page"]}, {"query", "positive", "negatives"}, or {"query",
"passages"}. Negatives that come with a query are among its candidates; BM25 finds the others.
Stored scores (scores:FILE) are JSON Lines as well: {"query", "passages", "scores"} or {"query", "passage", "score"}.

example (the whole command of the demo checkpoint is in its card, training/checkpoints/demo/README.md):
  rerank distill pairs.jsonl.gz more.jsonl --exclude evaluation-folder --output my-reranker --steps 7000
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "distill",
        help="train a small JinaBERT from a teacher",
        description="Mine hard negatives with BM25, ask the teacher about them, and train a JinaBERT cross-encoder to "
        "rank as it does. A stopped run goes on where it was; the best checkpoint so far is always in --output.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", type=Path, nargs="+", metavar="PAIRS", help="what to learn from")
    parser.add_argument(
        "--teacher",
        default="biencoder:packaged",
        metavar="MODEL",
        help="biencoder:packaged, biencoder:PATH, scores:FILE, a cross-encoder's folder, bm25 (default: %(default)s)",
    )
    parser.add_argument(
        "--teacher-weight", type=float, default=1.0, metavar="W", help="of its standardised scores (default: 1)"
    )
    parser.add_argument(
        "--bm25-weight", type=float, default=1.0, metavar="W", help="of BM25's standardised scores (default: 1)"
    )
    parser.add_argument(
        "--save-teacher-scores",
        type=Path,
        metavar="FILE",
        help="write what the teacher says (.jsonl or .jsonl.gz), for --teacher scores:FILE",
    )
    student = parser.add_argument_group("student")
    student.add_argument("--name", default="rerank-student", help="its name (default: %(default)s)")
    student.add_argument(
        "--from", dest="start", type=Path, metavar="FOLDER", help="start from this checkpoint, tokenizer and all"
    )
    student.add_argument(
        "--keep-layers", default="", metavar="N,N", help="of --from, such as 0,3: the student has as many"
    )
    student.add_argument("--layers", type=int, default=3, help="of a fresh student (default: 3)")
    student.add_argument("--width", type=int, default=192, help="of a fresh student (default: 192)")
    student.add_argument("--heads", type=int, default=12, help="of a fresh student (default: 12)")
    student.add_argument("--feed-forward", type=int, default=384, help="of a fresh student (default: 384)")
    student.add_argument(
        "--vocabulary", type=int, default=12_000, help="tokens of its tokenizer, trained here (default: 12000)"
    )
    student.add_argument("--tokenizer", type=Path, metavar="FILE", help="take this tokenizer.json over instead")
    student.add_argument("--plain", action="store_true", help="draw it at random, without the matching initialisation")
    parser.add_argument(
        "--as-is", action="store_true", help="take passages and queries as they are: cut, join and make none"
    )
    loop_flags(parser, steps=2000, learning_rate=7e-4, embedding_rate=0.5)


def run(args: argparse.Namespace) -> int:
    """Trains, reports, returns 0."""
    from rerank_ops.training_run import carry_out

    return carry_out(args, options(args))


def options(args: argparse.Namespace) -> "RunOptions":
    """The run that the flags describe."""
    from rerank_training.distill import RunOptions, StudentOptions

    try:
        keep = tuple(int(layer) for layer in args.keep_layers.split(",") if layer)
    except ValueError:
        raise Refused(f"--keep-layers is {args.keep_layers!r}. Must be numbers with commas, such as 0,3.") from None
    if keep and not args.start:
        raise Refused("--keep-layers needs --from: a fresh student has no layers to keep.")
    student = StudentOptions(
        name=args.name,
        start=args.start,
        keep_layers=keep,
        width=args.width,
        layers=args.layers,
        heads=args.heads,
        feed_forward=args.feed_forward,
        plain=args.plain,
        dtype=args.store,
    )
    data = data_options(
        args,
        teacher=args.teacher,
        teacher_weight=args.teacher_weight,
        bm25_weight=args.bm25_weight,
        vocabulary=args.vocabulary,
        tokenizer=args.tokenizer,
        shape=not args.as_is,
    )
    return RunOptions(
        data=data,
        student=student,
        loop=loop_options(args),
        output=args.output,
        work=args.work or args.output.with_name(args.output.name + ".work"),
        device=args.device,
        threads=args.threads,
        stop_after=args.stop_after,
        keep=args.keep,
        save_scores=args.save_teacher_scores,
    )
