"""The models that `rerank evaluate` runs: each named one, in each precision asked for, under a name of its own."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rerank_ops.aws import Aws
from rerank_ops.errors import Refused

if TYPE_CHECKING:
    from rerank_training.scorers import FirstStage, Scorer

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "mixed", "int8")


def opened(args: argparse.Namespace) -> "Iterator[Scorer | FirstStage]":
    """The baseline, then the other models in the order they were named, each opened when it is asked for.

    Checkpoints and bundles come once in each precision; the first of the baseline's is what all are held against.

    Raises:
        Refused: there is no such precision.
        ScorerError and the engine's errors: a model cannot be opened.
    """
    from rerank_training.scorers import FirstStage, open_scorer, runs_here

    chosen = precisions(args.precision)
    several = len(chosen) > 1
    names = list(dict.fromkeys([args.against, *args.model]))
    runtime = None
    if any(name.startswith("endpoint:") for name in names):
        runtime = Aws.from_args(args).client("sagemaker-runtime")
    taken: set[str] = set()
    for name in names:
        for precision in chosen if runs_here(name) else chosen[:1]:
            scorer = open_scorer(name, precision=precision, device=args.device, runtime=runtime)
            if not isinstance(scorer, FirstStage):
                scorer.name = _called(scorer.name, name, precision if several and runs_here(name) else "", taken)
            taken.add(scorer.name)
            yield scorer


def _called(short: str, named: str, precision: str, taken: set[str]) -> str:
    """A name that no other row has: rows, and the files of --write-runs, must be told apart."""
    names = [f"{name} ({precision})" if precision else name for name in (short, named)]
    return next((name for name in names if name not in taken), names[-1])


def precisions(text: str) -> list[str]:
    """The precisions that --precision names.

    Raises:
        Refused: there is no such precision.
    """
    found = list(dict.fromkeys(part.strip() for part in text.split(",")))
    wrong = [part for part in found if part not in PRECISIONS]
    if wrong:
        raise Refused(f"--precision is {text!r}. Must be of {', '.join(PRECISIONS)}, with commas between several.")
    return found
