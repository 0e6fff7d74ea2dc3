"""rerank distill: teach a small cross-encoder what a larger model knows."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops.errors import Refused
from rerank_ops.training.options import data_options, loop_flags, loop_options

if TYPE_CHECKING:
    from rerank_training.distill import RunOptions

SHAPE = {"--layers": 3, "--width": 192, "--heads": 12, "--feed-forward": 384}  # of a fresh student
VOCABULARY = 12_000
EPILOG = """\
PAIRS are JSON Lines (.gz too): {"query", "passage"[, "page"][, "negatives"]}, or {"query", "passages"} without a label;
"positive" is taken for "passage". Negatives that come with a query are among its candidates; BM25 finds the others.
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
        "rank as it does. SIGTERM and Ctrl-C keep the state: the same command goes on with the next step. --output is "
        "written at the end.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", type=Path, nargs="+", metavar="PAIRS", help="what to learn from")
    parser.add_argument(
        "--teacher",
        default="biencoder:packaged",
        metavar="MODEL",
        help="biencoder:packaged, biencoder:PATH, scores:FILE, a cross-encoder's folder, demo, bm25 "
        "(default: %(default)s)",
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
        "--from", dest="start", metavar="FOLDER", help="start from this checkpoint, tokenizer and all, or from: demo"
    )
    student.add_argument(
        "--keep-layers", default="", metavar="N,N", help="of --from, such as 0,3: the student has as many"
    )
    for flag, default in SHAPE.items():
        more = "; fewer than 12 need --plain" if flag == "--heads" else ""
        student.add_argument(flag, type=int, metavar="N", help=f"of a fresh student (default: {default}{more})")
    student.add_argument(
        "--vocabulary",
        type=int,
        metavar="N",
        help=f"tokens of its tokenizer, trained here (default: {VOCABULARY})",
    )
    student.add_argument("--tokenizer", type=Path, metavar="FILE", help="take this tokenizer.json over instead")
    student.add_argument("--plain", action="store_true", help="draw it at random, without the matching initialisation")
    parser.add_argument(
        "--as-is", action="store_true", help="take passages and queries as they are: cut, join and make none"
    )
    loop_flags(parser, steps=2000, learning_rate=7e-4, embedding_rate=0.5)


def run(args: argparse.Namespace) -> int:
    """Trains, reports, returns 0."""
    from rerank_ops.training.run import carry_out

    return carry_out(args, options(args))


def options(args: argparse.Namespace) -> "RunOptions":
    """The run that the flags describe."""
    from rerank_training.checkpoints import checkpoint_folder
    from rerank_training.distill import RunOptions, StudentOptions

    try:
        keep = tuple(int(layer) for layer in args.keep_layers.split(",") if layer)
    except ValueError:
        raise Refused(f"--keep-layers is {args.keep_layers!r}. Must be numbers with commas, such as 0,3.") from None
    if keep and not args.start:
        raise Refused("--keep-layers needs --from: a fresh student has no layers to keep.")
    _refuse_idle_flags(args)
    shape = {flag: getattr(args, _name(flag)) or default for flag, default in SHAPE.items()}
    student = StudentOptions(
        name=args.name,
        start=checkpoint_folder(args.start) if args.start else None,
        keep_layers=keep,
        width=shape["--width"],
        layers=shape["--layers"],
        heads=shape["--heads"],
        feed_forward=shape["--feed-forward"],
        plain=args.plain,
        dtype=args.store,
    )
    data = data_options(
        args,
        teacher=args.teacher,
        teacher_weight=args.teacher_weight,
        bm25_weight=args.bm25_weight,
        vocabulary=args.vocabulary or VOCABULARY,
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


def _refuse_idle_flags(args: argparse.Namespace) -> None:
    """Flags that another one makes idle are refused: what they ask for would not happen."""
    given = [flag for flag in (*SHAPE, "--vocabulary") if getattr(args, _name(flag)) is not None]
    for flag in given:
        if getattr(args, _name(flag)) < 1:
            raise Refused(f"{flag} is {getattr(args, _name(flag))}. Must be at least 1.")
    if args.start:
        idle = [*given, *(["--plain"] if args.plain else [])]
        if idle:
            raise Refused(
                f"{', '.join(idle)} cannot be combined with --from: shape and weights are those of {args.start}.",
                tip="--keep-layers makes a student of fewer layers.",
            )
    elif args.tokenizer and args.vocabulary is not None:
        raise Refused("--vocabulary cannot be combined with --tokenizer, which has its own.")


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
