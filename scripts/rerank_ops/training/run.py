"""Carries out a training run for a command: workers, progress, the closing table."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rerank_ops import console, outputs, progress
from rerank_ops.errors import Refused, Unfinished

if TYPE_CHECKING:
    from rerank_training.distill import RunOptions
    from rerank_training.state import Progress


INTERRUPTED = 130


def carry_out(args: argparse.Namespace, options: "RunOptions") -> int:
    """Trains, draws the curve, reports, returns 0; 130 when SIGTERM or Ctrl-C stopped it, its state kept."""
    from rerank_training import figures
    from rerank_training.distill import run
    from rerank_training.loop import finished
    from rerank_training.stopping import Stop
    from rerank_training.workers import rank

    check(args, options)
    stop = Stop()
    try:
        with stop.heard(), _workers(args.workers, options), progress.meter("training") as report:
            done = run(options, stage=_stage(report), watch=_watch(report, options), stop=stop)
    except KeyboardInterrupt:
        console.talk(
            f"Stopped. {options.output} was not written; the same command goes on with what {options.work} holds."
        )
        return INTERRUPTED
    if rank() != 0:
        return INTERRUPTED if stop.asked else 0
    ended = finished(done, options.loop)
    warnings = _warnings(done, options) if ended else []
    if ended and args.plot:
        args.plot.parent.mkdir(parents=True, exist_ok=True)
        figures.training_curve(args.plot, done, options.loop.weights, heading=options.student.name)
        console.talk(f"Wrote {args.plot}.")
    summary = {
        "checkpoint": str(options.output) if ended else None,
        "finished": ended,
        "steps": done.step,
        "of_steps": options.loop.steps,
        "seconds": round(done.seconds, 1),
        "ndcg_at_start": done.history[0].get("ndcg") if done.history else None,
        "best_ndcg": done.best_ndcg if done.best_ndcg >= 0 else None,
        "best_step": done.best_step if done.history else None,
        "improved": done.improved if ended else None,
    }
    for warning in warnings:
        console.warn(warning)
    if args.json:
        console.emit({**summary, "warnings": warnings, "history": done.history})
    else:
        console.table(("", "training"), [(key.replace("_", " "), value) for key, value in summary.items()])
    if not ended:
        console.talk(
            f"Stopped after step {done.step} of {options.loop.steps}; {options.output} is written at the end. "
            f"The same command goes on there, with what {options.work} holds."
        )
        return INTERRUPTED if stop.asked else 0
    if done.improved is not False:
        console.talk(f"Next: rerank package {options.output}")
    return 0


def check(args: argparse.Namespace, options: "RunOptions") -> None:
    """Everything that the run reads and writes, before any work.

    Raises:
        TrainingError, OpsError: something is missing, or a path cannot be written.
    """
    from rerank_training.beir import require_collection
    from rerank_training.bm25 import require_bm25
    from rerank_training.checkpoints import complete_checkpoint
    from rerank_training.teachers import teacher_path
    from rerank_training.vocabulary import read_tokenizer

    require_bm25()
    for path in options.data.pairs:
        outputs.require_input(path, "PAIRS")
    for folder in options.data.exclude:
        require_collection(folder)
    start = options.student.start
    if start is not None:
        complete_checkpoint(start)
        if start.resolve() == options.output.resolve():
            raise Refused(
                f"--output {options.output} is the checkpoint that the run starts from: it would be overwritten.",
                tip="Name another folder.",
            )
    if options.data.tokenizer is not None:
        read_tokenizer(options.data.tokenizer)
    teacher_path(options.data.teacher)
    outputs.check_folder(options.output, "--output")
    outputs.check_folder(options.work, "--work")
    if args.plot:
        outputs.require_picture(args.plot, "--plot")
    if options.save_scores:
        outputs.check_file(options.save_scores, "--save-teacher-scores")


def _warnings(done: "Progress", options: "RunOptions") -> list[str]:
    """What is odd about a result, if anything is."""
    if done.improved is None:
        return [
            "No query was watched, because there are too few: the last weights were kept, and whether they rank better "
            "than those the run started with is not known. Measure them with `rerank evaluate`."
        ]
    if done.improved:
        return []
    kept = "still, the last weights were kept" if options.keep == "last" else "the weights are those it started with"
    what = (
        "More or better pairs, more --steps or another --learning-rate may help; --keep last keeps the last weights "
        "all the same."
    )
    return [f"Nothing improved: no evaluation was better than the one before the first step, so {kept}. {what}"]


def _stage(report: progress.Meter) -> Any:
    """Preparations and evaluations, each at a pace of its own."""
    paces: dict[str, progress.Pace] = {}

    def tell(what: str, done: float) -> None:
        paces.setdefault(what, progress.Pace(report))(done, 1.0, what)

    return tell


def _watch(report: progress.Meter, options: "RunOptions") -> Any:
    """Evaluations are told as they come; steps at a pace, with the time that is left."""
    pace = progress.Pace(report)

    def tell(done: "Progress", values: Mapping[str, float]) -> None:
        step = f"step {done.step} of {options.loop.steps}"
        said = ", ".join(f"{name} {value:.3f}" for name, value in values.items() if name not in ("step", "seconds"))
        if "ndcg" in values or done.step == done.history[-1]["step"]:
            report(done.step / options.loop.steps, f"{step}: {said}")
        pace(done.step, options.loop.steps, f"{step}: {said}")

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
                other.kill()  # the state is this process's; a worker in the middle of an exchange would not end
        for name in ("WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "RANK"):
            os.environ.pop(name, None)


def _other(options: "RunOptions", number: int) -> None:
    from rerank_training.distill import run
    from rerank_training.stopping import Stop

    os.environ["RANK"] = str(number)
    stop = Stop()  # Ctrl-C reaches every process of the terminal: the workers agree on the step they stop after
    try:
        with stop.heard():
            run(options, stage=lambda what, done: None, watch=lambda done, values: None, stop=stop)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
