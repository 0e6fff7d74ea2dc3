"""Carries out a training run for a command: workers, progress, the closing table."""

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rerank_ops import console, progress
from rerank_ops.errors import Unfinished

if TYPE_CHECKING:
    from rerank_training.distill import RunOptions
    from rerank_training.state import Progress


def carry_out(args: argparse.Namespace, options: "RunOptions") -> int:
    """Trains, draws the curve, reports, returns 0."""
    from rerank_training import figures
    from rerank_training.distill import run
    from rerank_training.workers import rank

    with _workers(args.workers, options), progress.meter("training") as report:
        done = run(options, stage=_stage(report), watch=_watch(report, options))
    if rank() != 0:
        return 0
    if args.plot:
        figures.training_curve(args.plot, done, options.loop.weights, heading=options.student.name)
        console.talk(f"Wrote {args.plot}.")
    summary = {
        "checkpoint": str(options.output),
        "steps": done.step,
        "of_steps": options.loop.steps,
        "seconds": round(done.seconds, 1),
        "ndcg_at_start": done.history[0]["ndcg"] if done.history else None,
        "best_ndcg": done.best_ndcg,
        "best_step": done.best_step,
    }
    if args.json:
        console.emit({**summary, "history": done.history})
    else:
        console.table(("", "training"), [(key.replace("_", " "), value) for key, value in summary.items()])
        console.talk(f"Next: rerank package {options.output}")
    return 0


def _stage(report: progress.Meter) -> Any:
    return lambda what, done: report(int(done * 10) / 10 if done else None, what)


def _watch(report: progress.Meter, options: "RunOptions") -> Any:
    """Evaluations are told as they come; steps every tenth between two of them."""
    every = max(1, options.loop.evaluate_every // 5)

    def tell(done: "Progress", values: Mapping[str, float]) -> None:
        if "ndcg" in values or done.step % every == 0:
            said = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
            report(done.step / options.loop.steps, f"step {done.step}: {said}")

    return tell


@contextmanager
def _workers(count: int, options: "RunOptions") -> Iterator[None]:
    """Starts the other workers of a run on this CPU; this process is the first. Under torchrun it starts none."""
    if count == 1 or "RANK" in os.environ:
        yield
        return
    import multiprocessing

    from rerank_training.distill import free_port

    os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "RANK": "0"}
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_other, args=(options, n), daemon=True) for n in range(1, count)]
    try:
        # The others find prepared what this one made: the group forms when all have read it.
        from rerank_training.distill import set_up

        with progress.meter("preparing") as report:
            set_up(options, _stage(report))
        for other in others:
            other.start()
        yield
        for other in others:
            other.join()
        failed = [other.exitcode for other in others if other.exitcode]
        if failed:
            raise Unfinished(f"A worker ended with exit code {failed[0]}.")
    finally:
        for other in others:
            if other.is_alive():
                other.terminate()
        for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK"):
            os.environ.pop(name, None)


def _other(options: "RunOptions", number: int) -> None:
    from rerank_training.distill import run

    os.environ["RANK"] = str(number)
    run(options, stage=lambda what, done: None, watch=lambda done, values: None)
