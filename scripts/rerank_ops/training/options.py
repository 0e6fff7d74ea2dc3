"""The flags that distill and finetune share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops import console
from rerank_ops.errors import Refused

if TYPE_CHECKING:
    from rerank_training.loop import LoopOptions
    from rerank_training.prepare import DataOptions


def loop_flags(parser: argparse.ArgumentParser, *, steps: int, learning_rate: float, embedding_rate: float) -> None:
    """Adds the flags of data, loop and machine, with a command's own defaults."""
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the checkpoint, written at the end of the run; `rerank package` takes it",
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--exclude",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="never train on the queries and documents of this BEIR folder; may be repeated",
    )
    data.add_argument(
        "--sample", type=int, default=0, metavar="N", help="at most N examples of each file (default: all)"
    )
    data.add_argument("--hard", type=int, default=30, metavar="N", help="BM25 negatives mined per query (default: 30)")
    data.add_argument(
        "--watch",
        type=int,
        default=80,
        metavar="N",
        help="queries of each file held out to watch nDCG@10 (default: 80)",
    )
    data.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="prepared data and state of the run, with which the same command goes on after a stop "
        "(default: OUTPUT.work)",
    )
    loop = parser.add_argument_group("loop")
    loop.add_argument("--steps", type=int, default=steps, help=f"default: {steps}")
    loop.add_argument("--batch", type=int, default=16, help="queries per step (default: 16)")
    loop.add_argument("--list-size", type=int, default=8, metavar="N", help="passages per query (default: 8)")
    loop.add_argument(
        "--lists-per-pass",
        type=int,
        default=4,
        metavar="N",
        help="queries of one forward pass; gradients are accumulated (default: 4)",
    )
    loop.add_argument(
        "--learning-rate", type=float, default=learning_rate, metavar="R", help=f"default: {learning_rate:g}"
    )
    loop.add_argument(
        "--embedding-rate",
        type=float,
        default=embedding_rate,
        metavar="F",
        help=f"factor for word embeddings (default: {embedding_rate:g})",
    )
    loop.add_argument("--warmup", type=int, default=50, metavar="STEPS", help="default: 50")
    loop.add_argument("--temperature", type=float, default=1.0, help="of the teacher's scores (default: 1)")
    loop.add_argument(
        "--evaluate-every", type=int, default=100, metavar="STEPS", help="and save the state (default: 100)"
    )
    loop.add_argument(
        "--patience",
        type=int,
        default=0,
        metavar="N",
        help="stop after N evaluations without a better nDCG (default: never)",
    )
    loop.add_argument(
        "--keep",
        default="best",
        choices=("best", "last"),
        help="weights to export: of the best watched nDCG, or the last, where few watched queries tell little "
        "(default: best)",
    )
    loop.add_argument("--seed", type=int, default=0)
    loop.add_argument("--stop-after", type=int, metavar="STEPS", help="end this sitting then; the same command goes on")
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    machine.add_argument(
        "--precision", default="fp32", choices=("fp32", "bf16"), help="of matrix products (default: fp32)"
    )
    machine.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes on this CPU that share each step (default: 1)"
    )
    machine.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads of each (default: PyTorch's)")
    machine.add_argument(
        "--store", default="fp16", choices=("fp16", "bf16", "fp32"), help="weights of the checkpoint (default: fp16)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the training curve (.svg or .png)")
    console.json_option(parser)


def data_options(args: argparse.Namespace, **more: Any) -> "DataOptions":
    """What to learn from."""
    from rerank_training.prepare import DataOptions

    return DataOptions(
        pairs=tuple(args.pairs),
        exclude=tuple(args.exclude),
        sample=args.sample,
        hard=args.hard,
        watch=args.watch,
        bf16=args.precision == "bf16",
        seed=args.seed,
        **more,
    )


def loop_options(args: argparse.Namespace) -> "LoopOptions":
    """How to train."""
    from rerank_training.loop import LoopOptions

    wrong = [
        f"--{name.replace('_', '-')}"
        for name in ("steps", "batch", "lists_per_pass", "evaluate_every", "workers")
        if getattr(args, name) < 1
    ]
    if wrong or args.list_size < 2:
        raise Refused(f"{', '.join(wrong) or '--list-size'} is too small: a step needs something to learn from.")
    return LoopOptions(
        steps=args.steps,
        batch=args.batch,
        list_size=args.list_size,
        lists_per_pass=args.lists_per_pass,
        learning_rate=args.learning_rate,
        embedding_rate=args.embedding_rate,
        warmup=args.warmup,
        temperature=args.temperature,
        bf16=args.precision == "bf16",
        evaluate_every=args.evaluate_every,
        patience=args.patience,
        seed=args.seed,
        multiple=16,
    )
