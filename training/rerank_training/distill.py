"""Distillation and fine-tuning runs, from options to a checkpoint that `rerank package` takes."""

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from rerank_engine.models import recognise
from rerank_engine.models.base import CrossEncoder
from rerank_engine.models.jina_bert import JinaBert, Shape
from rerank_training.checkpoints import complete_checkpoint
from rerank_training.contents import digest_of
from rerank_training.errors import RunError
from rerank_training.export import student_config, write_checkpoint
from rerank_training.initial import AUX, initialise
from rerank_training.loop import LoopOptions, finished, train
from rerank_training.pairs import PairTexts
from rerank_training.prepare import DataOptions, Prepared, lexicon, prepare
from rerank_training.state import Progress, fingerprint_of, load_best
from rerank_training.stopping import Stop
from rerank_training.vocabulary import read_tokenizer
from rerank_training.workers import join_workers, leave_workers, rank, world

LEAST_LAYERS, LEAST_HEADS = 2, 12  # of the matching initialisation: one to look, one to gather, and its heads


@dataclass(frozen=True, slots=True)
class StudentOptions:
    """The model to train.

    Attributes:
        name: name in its config.
        start: checkpoint to start from; None draws a fresh JinaBERT of the shape below.
        keep_layers: layers of `start` to keep, by number, in order; empty keeps all. The student has as many.
        width, layers, heads, feed_forward: shape of a fresh one.
        plain: draw a fresh one plainly at random, without the matching initialisation.
        dtype: weights of the exported checkpoint: fp16, bf16, fp32.
        query_tokens, passage_tokens: where training pairs are cut.
    """

    name: str = "rerank-student"
    start: Path | None = None
    keep_layers: tuple[int, ...] = ()
    width: int = 192
    layers: int = 3
    heads: int = 12
    feed_forward: int = 384
    plain: bool = False
    dtype: str = "fp16"
    query_tokens: int = 40
    passage_tokens: int = 232


@dataclass(frozen=True, slots=True)
class RunOptions:
    """A whole run.

    Attributes:
        data, student, loop: what to learn from, what to train, how.
        output: where the checkpoint goes.
        work: what was prepared, and the state to resume from.
        device: auto, cpu or cuda.
        threads: CPU threads of each worker; 0 leaves it to PyTorch.
        stop_after: end this sitting after that many steps; None goes to the end.
        keep: weights to export: "best" by the watched nDCG, or "last".
        save_scores: where to write what the teacher says of the candidates; None writes nothing.
    """

    data: DataOptions
    student: StudentOptions
    loop: LoopOptions
    output: Path
    work: Path
    device: str = "auto"
    threads: int = 0
    stop_after: int | None = None
    keep: Literal["best", "last"] = "best"
    save_scores: Path | None = None


Stage = Callable[[str, float], None]
Watch = Callable[[Progress, Mapping[str, float]], None]


def run(options: RunOptions, *, stage: Stage, watch: Watch, stop: Stop | None = None) -> Progress:
    """Prepare, train (or go on training), and at the end export the best or the last weights to `output`.

    Returns where the run ended. If that is before its end (`loop.finished`), because of `stop` or `stop_after`, then
    `output` is not written and the state in `work` has everything to go on with.

    `stage` is told of preparations and evaluations, `watch` of steps and evaluations.

    Raises:
        TrainingError: the data, the teacher, the start or the state of the run is not what it should be.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    device = _device(options.device)
    stop = stop or Stop()
    prepared, model, config = set_up(options, stage)
    model.to(device)
    join_workers(device)
    try:
        stage("tokenising", 0.0)
        texts = PairTexts(
            prepared.tokenizer_file,
            prepared.text.queries,
            prepared.text.passages,
            query_tokens=options.student.query_tokens,
            passage_tokens=options.student.passage_tokens,
        )
        start = "" if options.student.start is None else digest_of(options.student.start)
        with stop.patient():
            progress = train(
                model,
                texts,
                prepared.lists,
                learn=prepared.learn,
                watch=prepared.watch,
                options=options.loop,
                folder=options.work,
                fingerprint=fingerprint_of(
                    prepared.fingerprint, str(options.student), start, _fixed(options.loop), world()
                ),
                report=watch,
                watching=lambda done: stage("watching nDCG", done),
                stop_after=options.stop_after,
                stop=stop,
            )
        if rank() == 0:
            if finished(progress, options.loop):
                best = options.keep == "best"
                weights = load_best(options.work, progress.best_step) if best else model.state_dict()
                write_checkpoint(options.output, weights, config, prepared.tokenizer_file, dtype=options.student.dtype)
            history = json.dumps(progress.history, indent=1) + "\n"
            (options.work / "history.json").write_text(history, encoding="utf-8")
    finally:
        leave_workers()
    return progress


def set_up(options: RunOptions, stage: Stage) -> tuple[Prepared, CrossEncoder, dict[str, Any]]:
    """The data and the untrained student of a run; what takes long is kept in `options.work`.

    The student comes first where it can: what is wrong with it is told before anything is mined.
    """
    data, student = options.data, options.student
    started = None
    if student.start is None:
        check_shape(student)
    else:
        if data.tokenizer is None:
            data = replace(data, tokenizer=student.start / "tokenizer.json")
        stage("loading the checkpoint", 0.0)
        started = load_start(complete_checkpoint(student.start), student.keep_layers)
    prepared = prepare(data, options.work, stage, options.save_scores)
    model, config = started or fresh_student(student, prepared, data, options.work, stage)
    size = read_tokenizer(prepared.tokenizer_file).get_vocab_size()
    if model.vocab_size < size:
        raise RunError(f"{prepared.tokenizer_file} has {size} tokens, {student.start} embeds {model.vocab_size}.")
    return prepared, model, config | {"_name_or_path": student.name}


def check_shape(student: StudentOptions) -> None:
    """What a fresh student can be made of.

    Raises:
        RunError: it cannot be built, or the matching initialisation does not fit it.
    """
    shape = f"{student.layers} layers, {student.width} wide, {student.heads} heads"
    if min(student.layers, student.width, student.heads, student.feed_forward) < 1 or student.width % student.heads:
        raise RunError(
            f"A student of {shape} cannot be built.", tip="The width has to be a multiple of the number of heads."
        )
    if not student.plain and (student.layers < LEAST_LAYERS or student.heads < LEAST_HEADS or student.width <= AUX):
        raise RunError(
            f"The matching initialisation does not fit a student of {shape}: it needs {LEAST_LAYERS} layers, "
            f"{LEAST_HEADS} heads and a width above {AUX}.",
            tip="--plain draws this shape at random instead; it learns more slowly by far.",
        )


def fresh_student(
    options: StudentOptions, prepared: Prepared, data: DataOptions, work: Path, stage: Stage
) -> tuple[CrossEncoder, dict[str, Any]]:
    """A JinaBERT of the shape that `options` names, in float32, and its config.json."""
    config = student_config(
        name=options.name,
        vocabulary=read_tokenizer(prepared.tokenizer_file).get_vocab_size(),
        width=options.width,
        layers=options.layers,
        heads=options.heads,
        feed_forward=options.feed_forward,
    )
    model = recognise(config).from_config(config)
    if options.plain:
        plain(model, seed=data.seed)
    else:
        initialise(model, config, lexicon(prepared, data, work, stage), seed=data.seed)
    return model, config


def load_start(folder: Path, keep_layers: Sequence[int] = ()) -> tuple[CrossEncoder, dict[str, Any]]:
    """A checkpoint's model in float32, with only the layers `keep_layers` (all if empty), renumbered in that order.

    Raises:
        RunError: a layer to keep is not in the checkpoint.
    """
    from rerank_engine.models import load_model
    from rerank_engine.models.checkpoint import read_checkpoint
    from rerank_engine.reranker.tokens import PairTokenizer

    config = dict(read_checkpoint(folder).config)
    whole = load_model(folder, device=torch.device("cpu"), dtype=torch.float32)
    whole.separator_id = PairTokenizer.from_dir(folder).template.separator_id  # BERT tells the segments apart by it
    whole.requires_grad_(requires_grad=True)
    if whole.family == JinaBert.family:  # the engine knows it of published shapes; with fewer layers it is another
        config["alibi_tail_scale"] = Shape.read(config).alibi_tail_scale
    if not keep_layers:
        return whole, config
    count = int(config["num_hidden_layers"])
    wrong = [layer for layer in keep_layers if not 0 <= layer < count]
    if wrong:
        raise RunError(f"{folder} has layers 0 to {count - 1}; it cannot keep {wrong[0]}.")
    config["num_hidden_layers"] = len(keep_layers)
    smaller = recognise(config).from_config(config)
    smaller.separator_id = whole.separator_id
    marker = ".layer."
    state = {}
    for name, tensor in whole.state_dict().items():
        head, found, tail = name.partition(marker)
        number, _, rest = tail.partition(".")
        if not found:
            state[name] = tensor
        for new in [n for n, old in enumerate(keep_layers) if found and int(number) == old]:
            state[f"{head}{marker}{new}.{rest}"] = tensor
    smaller.load_state_dict(state)
    return smaller, config


def plain(model: torch.nn.Module, *, seed: int) -> None:
    """BERT's own initialisation: normal(0, 0.02) matrices, zero biases, norms of one."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.dim() > 1:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.02)
        else:
            tensor.fill_(1.0 if name.lower().endswith("layernorm.weight") else 0.0)


def _device(name: str) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def free_port() -> int:
    """A port on this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fixed(options: LoopOptions) -> str:
    """What must not change when a run is resumed; the number of steps and the patience may (the schedule moves with
    them).
    """
    return str(replace(options, steps=0, patience=0, evaluate_every=0))
