"""The training loop: draw lists, score, learn; now and then evaluate and save.

Every step is a function of the weights, the optimiser's state and the step's number. So a run that is stopped and
resumed ends with the same bytes as one that was not (on a CPU, with as many threads and workers).
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rerank_engine.models.base import PackedBatch
from rerank_training.errors import RunError
from rerank_training.forward import training_logits
from rerank_training.losses import WEIGHTS, list_losses, total
from rerank_training.mining import Lists, draw
from rerank_training.pairs import PairTexts, groups
from rerank_training.state import Progress, forget_others, load_state, save_best, save_state
from rerank_training.workers import any_worker, gather, rank, sum_gradients, world

SAVE_EVERY_S = 60.0  # a machine that is taken away without a word costs no more than this


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How to train.

    Attributes:
        steps: optimiser steps in all.
        batch: queries per step.
        list_size: passages per query, the positive included.
        learning_rate: peak, reached after `warmup` steps and brought to zero on a cosine.
        embedding_rate: factor on it for the word embeddings: below 1 keeps rare tokens near what they were initialised
            to.
        warmup: steps.
        weight_decay: of AdamW, on matrices.
        clip: largest norm of the gradient.
        temperature: of the teacher's scores.
        weights: of the losses.
        bf16: run matrix products in bfloat16.
        lists_per_pass: queries of one forward pass; a step adds up the gradients of as many passes as it needs.
        tokens: of one forward pass when evaluating.
        evaluate_every: steps between evaluations (and saved states).
        patience: evaluations without a better nDCG after which to stop; 0 never stops early.
        seed: of the lists drawn.
        multiple: pair lengths are cut to a multiple of this, so that pairs of equal length share a product.
    """

    steps: int = 2000
    batch: int = 16
    list_size: int = 8
    learning_rate: float = 7e-4
    embedding_rate: float = 0.5
    warmup: int = 50
    weight_decay: float = 0.01
    clip: float = 1.0
    temperature: float = 1.0
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    bf16: bool = False
    lists_per_pass: int = 4
    tokens: int = 4096
    evaluate_every: int = 200
    patience: int = 0
    seed: int = 0
    multiple: int = 8


def train(
    model: torch.nn.Module,
    texts: PairTexts,
    lists: Lists,
    *,
    learn: Sequence[int],
    watch: Sequence[int],
    options: LoopOptions,
    folder: Path,
    fingerprint: str,
    report: Callable[[Progress, dict[str, float]], None] | None = None,
    watching: Callable[[float], None] = lambda done: None,
    stop_after: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Train `model` in place, resuming from `folder` if a state is there; return where it ended (see `finished`).

    Args:
        model: a cross-encoder of the engine.
        texts: the tokenised texts that `lists` names by position.
        lists: candidates and teacher's scores.
        learn, watch: queries to train on, and queries never trained on whose nDCG is watched.
        options: how.
        folder: where the state is kept, and the weights of the best watched nDCG, which `load_best` reads.
        fingerprint: of data and options: a state of another run is refused.
        report: told of each evaluation and, between, of each step.
        watching: told how much of an evaluation is done (0..1).
        stop_after: end this sitting after that many steps of it, the state saved.
        stop: asked after each step, and between the passes of an evaluation: whether to end this sitting, the state
            saved. The next one takes the very next step, or begins the evaluation anew that was given up.

    Raises:
        RunError: there is nothing to learn from, the state is of another run, or the loss is not finite.
    """
    if not len(learn):
        raise RunError("There is no query to train on.")
    optimizer = torch.optim.AdamW(_parameter_groups(model, options), lr=options.learning_rate, betas=(0.9, 0.98))
    progress = load_state(folder, model, optimizer, fingerprint) or Progress()
    learn_array, sitting = np.asarray(learn), progress.step
    started = time.monotonic() - progress.seconds
    saved = started + progress.seconds
    model.train()

    def save() -> None:
        nonlocal saved
        if rank() == 0:
            save_state(folder, model, optimizer, progress, fingerprint)
            forget_others(folder, progress.best_step)
        saved = time.monotonic()

    while True:
        if _due(progress, options):
            ndcg = watched_ndcg(model, texts, lists, watch, options, watching, stop) if len(watch) else None
            if ndcg is None and len(watch):  # given up: the state says that it is due
                save()
                break
            _record(model, progress, ndcg, folder)
            if report is not None and rank() == 0:
                report(progress, progress.history[-1])
            if progress.step:
                save()
        elif time.monotonic() - saved > SAVE_EVERY_S:
            save()
        if finished(progress, options):
            break
        if any_worker(stop() or (stop_after is not None and progress.step - sitting >= stop_after), model):
            save()
            break
        losses = _step(model, optimizer, texts, lists, learn_array, options, progress.step)
        progress.step += 1
        progress.seconds = time.monotonic() - started
        for name, value in {**losses, "steps": 1.0}.items():
            progress.losses[name] = progress.losses.get(name, 0.0) + value
        if report is not None and rank() == 0 and not _due(progress, options):
            report(progress, losses)
    return progress


def finished(progress: Progress, options: LoopOptions) -> bool:
    """Whether a run has come to its end: all steps are done, or no evaluation was better for too long."""
    return progress.step >= options.steps or _exhausted(progress, options)


def _step(
    model: torch.nn.Module,
    optimizer: Any,
    texts: PairTexts,
    lists: Lists,
    learn: NDArray[np.int64],
    options: LoopOptions,
    step: int,
) -> dict[str, float]:
    """One optimiser step over whole lists, pass by pass; returns this worker's mean losses."""
    device = next(model.parameters()).device
    drawn = draw(lists, learn, step=step, seed=options.seed, batch=options.batch, size=options.list_size)
    mine = range(rank(), options.batch, world())
    optimizer.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    for start in range(0, len(mine), options.lists_per_pass):
        rows = list(mine[start : start + options.lists_per_pass])
        pairs = [
            texts.pair(int(drawn.queries[row]), int(passage), multiple=options.multiple)
            for row in rows
            for passage in drawn.passages[row]
        ]
        teacher = torch.from_numpy(drawn.scores[rows]).to(device)  # (b, N)
        labelled = torch.from_numpy(drawn.labelled[rows]).to(device)  # (b,)
        logits = score_pairs(model, pairs, vocabulary=texts.vocabulary, bf16=options.bf16).view_as(teacher)  # (b, N)
        losses = list_losses(logits, teacher, labelled, temperature=options.temperature)
        (total(losses, options.weights) * (len(rows) / options.batch)).backward()  # type: ignore[no-untyped-call]
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + float(loss.detach()) * len(rows) / len(mine)
    parameters = [p for p in model.parameters() if p.requires_grad]
    sum_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, options.clip)
    if not bool(torch.isfinite(norm)):
        raise RunError(f"The gradient of step {step} is not finite.", tip="Lower --learning-rate, or train in fp32.")
    factor = schedule(step, options)
    for group in optimizer.param_groups:
        group["lr"] = options.learning_rate * factor * group["rate"]
    optimizer.step()
    return sums


def score_pairs(model: torch.nn.Module, pairs: Sequence[list[int]], *, vocabulary: int, bf16: bool) -> Tensor:
    """Logits (N,) of `pairs` in their order, from one pass."""
    device = next(model.parameters()).device
    order = sorted(range(len(pairs)), key=lambda n: len(pairs[n]))
    batch = PackedBatch.pack([pairs[n] for n in order], device, vocab_size=vocabulary)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        logits = training_logits(model, batch).float()
    places = torch.tensor(order, device=device).argsort()
    return logits[places]


def schedule(step: int, options: LoopOptions) -> float:
    """Factor on the learning rate: a linear rise, then half a cosine down to zero."""
    if step < options.warmup:
        return (step + 1) / options.warmup
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def watched_ndcg(
    model: torch.nn.Module,
    texts: PairTexts,
    lists: Lists,
    watch: Sequence[int],
    options: LoopOptions,
    report: Callable[[float], None] = lambda done: None,
    stop: Callable[[], bool] = lambda: False,
) -> float | None:
    """Mean nDCG@10 of the known positive among the query's hard candidates; each worker scores its share.

    None if a worker was told to stop meanwhile.
    """
    mine = list(watch)[rank() :: world()]
    size = lists.hard + 1
    pairs = [texts.pair(q, int(p), multiple=1) for q in mine for p in lists.candidates[q, :size]]
    logits = np.empty(len(pairs), dtype=np.float32)
    done, stopped = 0, False
    model.eval()
    with torch.inference_mode():
        for part in groups([len(pair) for pair in pairs], tokens=options.tokens):
            report(done / len(pairs))
            found = score_pairs(model, [pairs[n] for n in part], vocabulary=texts.vocabulary, bf16=options.bf16)
            logits[part] = found.cpu().numpy()
            done += len(part)
            if stopped := stop() and done < len(pairs):
                break
    model.train()
    told = gather(None if stopped else ndcg_of(logits.reshape(len(mine), size)))
    return None if any(gains is None for gains in told) else float(np.mean(np.concatenate(told)))


def ndcg_of(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """nDCG@10 of each row (Q, 1 + N) whose one relevant passage is column 0; ties count against it."""
    ranks = (scores[:, 1:] >= scores[:, :1]).sum(1)
    return np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0)


def _due(progress: Progress, options: LoopOptions) -> bool:
    """Whether the evaluation of this step is still to come: before the first step, then every so often, and last."""
    if progress.history and progress.history[-1]["step"] == progress.step:
        return False
    return progress.step % options.evaluate_every == 0 or progress.step == options.steps


def _record(model: torch.nn.Module, progress: Progress, ndcg: float | None, folder: Path) -> None:
    """Write an evaluation down; keep the weights if they are the best so far. Without one, the last are."""
    count = progress.losses.pop("steps", 0.0)
    losses = {name: value / count for name, value in progress.losses.items()} if count else {}
    progress.losses = {}
    seen = {} if ndcg is None else {"ndcg": ndcg}
    progress.history.append({"step": progress.step, "seconds": round(progress.seconds, 1), **seen, **losses})
    if ndcg is None or ndcg > progress.best_ndcg:
        progress.best_step = progress.step
        progress.best_ndcg = progress.best_ndcg if ndcg is None else ndcg
        if rank() == 0:
            save_best(folder, model, progress.step)


def _exhausted(progress: Progress, options: LoopOptions) -> bool:
    since = [record for record in progress.history if record["step"] > progress.best_step]
    return bool(options.patience) and len(since) >= options.patience


def _parameter_groups(model: torch.nn.Module, options: LoopOptions) -> list[dict[str, Any]]:
    """Matrices decay; vectors do not; word embeddings learn more slowly."""
    words = [p for name, p in model.named_parameters() if "word_embeddings" in name]
    matrices = [p for name, p in model.named_parameters() if p.dim() > 1 and "word_embeddings" not in name]
    vectors = [p for _, p in model.named_parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "rate": 1.0, "weight_decay": options.weight_decay},
        {"params": vectors, "rate": 1.0, "weight_decay": 0.0},
        {"params": words, "rate": options.embedding_rate, "weight_decay": 0.0},
    ]
