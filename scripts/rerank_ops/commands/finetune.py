"""rerank finetune: adapt a checkpoint to a domain with labelled pairs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops.training.options import data_options, loop_flags, loop_options

if TYPE_CHECKING:
    from rerank_training.distill import RunOptions


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "finetune",
        help="adapt a checkpoint to your own pairs",
        description="Train on a checkpoint's own tokenizer and weights with labelled pairs: the given passage "
        "first among BM25's hard negatives. Passages are taken as they are. Special ids come from tokenizer.json: "
        "pad_token_id of the published configs is 0, the id of <s>. SIGTERM and Ctrl-C keep the state: the same "
        "command goes on with the next step.",
    )
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="folder with config.json, model.safetensors, tokenizer.json, or the word demo",
    )
    parser.add_argument(
        "pairs",
        type=Path,
        nargs="+",
        metavar="PAIRS",
        help='JSON Lines (.gz too): {"query", "passage"[, "negatives"]}; "positive" is taken for "passage"',
    )
    parser.add_argument("--name", help="name of the result (default: the checkpoint's, -finetuned)")
    parser.add_argument(
        "--teacher",
        default="bm25",
        metavar="MODEL",
        help="also learn from it, as in rerank distill; bm25 means labels alone",
    )
    loop_flags(parser, steps=500, learning_rate=2e-5, embedding_rate=1.0)


def run(args: argparse.Namespace) -> int:
    """Trains, reports, returns 0."""
    from rerank_ops.training.run import carry_out

    return carry_out(args, options(args))


def options(args: argparse.Namespace) -> "RunOptions":
    """The run that the flags describe: labels decide, unless a teacher was named."""
    from dataclasses import replace

    from rerank_training.checkpoints import checkpoint_folder
    from rerank_training.distill import RunOptions, StudentOptions

    start = checkpoint_folder(args.checkpoint)
    loop = loop_options(args)
    if args.teacher == "bm25":
        loop = replace(loop, weights={"kl": 0.0, "margin": 0.0, "label": 1.0, "absolute": 0.2})
    name = args.name or f"{start.resolve().name}-finetuned"
    return RunOptions(
        data=data_options(args, teacher=args.teacher, shape=False),
        student=StudentOptions(name=name, start=start, dtype=args.store),
        loop=loop,
        output=args.output,
        work=args.work or args.output.with_name(args.output.name + ".work"),
        device=args.device,
        threads=args.threads,
        stop_after=args.stop_after,
        keep=args.keep,
    )
