"""What a step does to the weights: losses, optimiser, schedule, accumulation, and which passages are negatives."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rerank_bundle.demo import make_demo_checkpoint
from rerank_ops.commands import distill, finetune
from rerank_training import loop
from rerank_training.distill import load_start
from rerank_training.loop import LoopOptions, ndcg_of, schedule
from rerank_training.losses import list_losses, total
from rerank_training.mining import Lists, draw, mine
from rerank_training.pairs import PairTexts
from rerank_training.passages import TrainingText, make_text
from rerank_training.prepare import plain_text
from rerank_training.texts import Example

OPTIONS = LoopOptions(
    steps=10, batch=6, list_size=3, learning_rate=1e-2, warmup=4, lists_per_pass=4, weights={"label": 1.0}, multiple=1
)


class Setting:
    """A small model, six queries and their lists."""

    def __init__(self, folder: Path, *, queries: int = 6) -> None:
        start = make_demo_checkpoint(folder / "start", hidden=48, layers=2, ffn=48)
        self.model, _ = load_start(start)
        names = [f"what is thing {n}?" for n in range(queries)]
        passages = [f"thing {n} is a part of machine {n * 7}" + " and more" * (n % 3) for n in range(queries + 6)]
        self.texts = PairTexts(start / "tokenizer.json", names, passages)
        rng = np.random.default_rng(0)
        candidates = np.stack([[n, *((n + 1 + np.arange(5)) % len(passages))] for n in range(queries)]).astype(np.int32)
        scores = rng.standard_normal(candidates.shape).astype(np.float32)
        self.lists = Lists(candidates, scores, np.ones(queries, bool), 3)

    def step(self, options: LoopOptions, step: int = 0, optimizer: Any = None) -> torch.optim.Optimizer:
        """One step from these weights, by the loop's own optimiser unless one is given."""
        made = optimizer or torch.optim.AdamW(loop._parameter_groups(self.model, options), lr=options.learning_rate)
        loop._step(self.model, made, self.texts, self.lists, np.arange(6), options, step)
        return made

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_the_teachers_scores_are_divided_by_the_temperature() -> None:
    """At 2, a student that says half of what the teacher says has nothing to learn; one that says all of it has."""
    teacher, known = torch.tensor([[4.0, 1.0, -2.0]]), torch.tensor([False])

    half, whole = (list_losses(logits, teacher, known, temperature=2.0) for logits in (teacher / 2, teacher))

    assert (0, 0) == pytest.approx((half["kl"].item(), half["margin"].item()), abs=1e-6)
    assert whole["kl"].item() > 0.05
    assert 2 * np.var([2.0, 0.5, -1.0]) == pytest.approx(whole["margin"].item())


def test_a_step_learns_at_the_temperature_that_the_flag_names(setting: Setting, tmp_path: Path) -> None:
    """--temperature reaches the losses of a step: cooler scores are farther from what the student says."""
    options = replace(OPTIONS, weights={"kl": 1.0})
    seen = [
        loop._step(
            setting.model,
            torch.optim.SGD([{"params": list(setting.model.parameters()), "rate": 0.0}], lr=0.0),
            setting.texts,
            setting.lists,
            np.arange(6),
            replace(options, temperature=temperature),
            0,
        )["margin"]
        for temperature in (1.0, 0.25)
    ]

    assert seen[1] > 2 * seen[0]
    assert 0.25 == flags(distill, "--temperature", "0.25").temperature


def flags(command: Any, *given: str) -> LoopOptions:
    """The loop that a command line describes."""
    import argparse

    commands = argparse.ArgumentParser().add_subparsers()
    command.add_parser(commands)
    name = command.__name__.rpartition(".")[2]
    positional = ["p.jsonl"] if name == "distill" else ["start", "p.jsonl"]
    parsed = commands.choices[name].parse_args([*positional, "--output", "o", *given])
    options: LoopOptions = command.options(parsed).loop
    return options


@pytest.mark.parametrize("command", [distill, finetune])
def test_every_flag_of_the_loop_reaches_it(command: Any) -> None:
    """Each set to another value than its default."""
    wanted = {
        "steps": 7,
        "batch": 3,
        "list_size": 5,
        "lists_per_pass": 2,
        "learning_rate": 0.125,
        "embedding_rate": 0.25,
        "warmup": 9,
        "temperature": 4.0,
        "evaluate_every": 11,
        "patience": 13,
        "seed": 17,
    }
    given = [word for name, value in wanted.items() for word in (f"--{name.replace('_', '-')}", str(value))]

    found = flags(command, *given)

    assert wanted == {name: getattr(found, name) for name in wanted}
    assert not flags(command).bf16
    assert flags(command, "--precision", "bf16").bf16


def test_labels_alone_decide_where_no_teacher_is_named() -> None:
    """finetune without a teacher: BM25's order is not imitated; with one, it is listened to."""
    assert {"kl": 0.0, "margin": 0.0, "label": 1.0, "absolute": 0.2} == flags(finetune).weights
    assert flags(finetune, "--teacher", "other").weights["kl"] > 0


def test_ties_count_against_the_positive() -> None:
    """A model that says the same of all passages has found nothing; strictly better, it is first."""
    rows = np.array([[1, 1, 1, 1], [2, 1, 1, 1], [1, 1, 0, 0], [1, 2, 2, 0]], dtype=np.float32)
    flat = np.zeros((1, 12), dtype=np.float32)

    expected = [1 / math.log2(5), 1.0, 1 / math.log2(3), 1 / math.log2(4)]
    assert expected == pytest.approx(ndcg_of(rows).tolist())
    assert [0.0] == ndcg_of(flat).tolist()


def test_matrices_alone_decay(setting: Setting) -> None:
    """Norms, biases and word embeddings keep their size; each weight is in one group, with its rate."""
    options = replace(OPTIONS, weight_decay=0.3, embedding_rate=0.5)
    groups = loop._parameter_groups(setting.model, options)
    held = {id(parameter): (group["weight_decay"], group["rate"]) for group in groups for parameter in group["params"]}
    found = {name: held[id(parameter)] for name, parameter in setting.model.named_parameters()}

    kinds = {
        name: "words" if "word_embeddings" in name else "vector" if parameter.dim() < 2 else "matrix"
        for name, parameter in setting.model.named_parameters()
    }
    wanted = {"words": (0.0, 0.5), "vector": (0.0, 1.0), "matrix": (0.3, 1.0)}
    assert {name: wanted[kind] for name, kind in kinds.items()} == found
    assert {"words", "vector", "matrix"} == set(kinds.values())
    assert {"vector"} == {kind for name, kind in kinds.items() if "norm" in name.lower() or name.endswith("bias")}
    assert sum(len(group["params"]) for group in groups) == len(found)


def test_a_run_trains_with_the_decay_of_its_options(setting: Setting) -> None:
    """Without a gradient, a step of AdamW shrinks matrices by rate times decay and leaves norms as they are."""
    options = replace(OPTIONS, weight_decay=0.5, weights={}, warmup=0)
    before = setting.weights()

    setting.step(options)

    after = setting.weights()
    matrix, norm = "bert.encoder.layer.0.mlp.wo.weight", "bert.embeddings.LayerNorm.weight"
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.allclose(before[matrix] * (1 - options.learning_rate * 0.5), after[matrix], atol=1e-7)
    assert before[norm].equal(after[norm])
    assert before[words].equal(after[words])


def test_the_rate_rises_then_falls_on_half_a_cosine() -> None:
    """In equal parts to its peak at the end of the warm-up, half of it in the middle, nothing at the end."""
    options = replace(OPTIONS, steps=104, warmup=4)

    assert [0.25, 0.5, 0.75, 1.0, 1.0] == [schedule(step, options) for step in range(5)]
    assert 0.5 == pytest.approx(schedule(54, options))
    assert 0.0 == pytest.approx(schedule(104, options))
    assert all(schedule(n, options) >= schedule(n + 1, options) for n in range(4, 104))
    assert 1.0 == schedule(0, replace(options, warmup=0))


def test_a_step_takes_the_scheduled_rate_of_its_group(setting: Setting) -> None:
    """Peak × schedule × the group's own factor, word embeddings at theirs."""
    options = replace(OPTIONS, embedding_rate=0.25)

    optimizer = setting.step(options, step=1)

    matrices, vectors, words = (group["lr"] for group in optimizer.param_groups)
    assert (0.005, 0.005, 0.00125) == pytest.approx((matrices, vectors, words))


def test_a_gradient_is_clipped_to_its_largest_norm(setting: Setting) -> None:
    """Plain gradient descent at rate 1 moves the weights by the gradient: by `clip` in all, or less."""
    moved = {}
    for clip in (1e-3, 1e6):
        before = setting.weights()
        sgd = torch.optim.SGD([{"params": list(setting.model.parameters()), "rate": 1.0}], lr=1.0)
        setting.step(replace(OPTIONS, clip=clip, learning_rate=1.0, warmup=0), optimizer=sgd)
        after = setting.weights()
        moved[clip] = torch.cat([(after[name] - before[name]).flatten() for name in before]).norm().item()
        setting.model.load_state_dict(before)

    assert 1e-3 == pytest.approx(moved[1e-3], rel=0.02)
    assert moved[1e6] > 0.05


def test_lists_weigh_alike_however_they_are_passed(setting: Setting) -> None:
    """Six lists in one pass, or in passes of four and two: the same gradient, and the same losses told."""
    gradients, told = [], []
    for lists in (6, 4):
        sgd = torch.optim.SGD([{"params": list(setting.model.parameters()), "rate": 1.0}], lr=0.0)
        options = replace(OPTIONS, lists_per_pass=lists, clip=1e9, learning_rate=0.0)
        told.append(loop._step(setting.model, sgd, setting.texts, setting.lists, np.arange(6), options, 0)["label"])
        gradients.append(torch.cat([p.grad.flatten() for p in setting.model.parameters() if p.grad is not None]))

    assert told[0] == pytest.approx(told[1], rel=1e-5)
    assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[0].norm()


def test_gradients_of_one_step_are_not_those_of_the_next(setting: Setting) -> None:
    """Two steps at rate 0 leave the gradient of the second alone."""
    options = replace(OPTIONS, learning_rate=0.0, clip=1e9)
    found = []
    for steps in ((1,), (0, 1)):
        sgd = torch.optim.SGD([{"params": list(setting.model.parameters()), "rate": 1.0}], lr=0.0)
        setting.model.zero_grad()
        for step in steps:
            setting.step(options, step=step, optimizer=sgd)
        found.append(torch.cat([p.grad.flatten() for p in setting.model.parameters() if p.grad is not None]))

    assert torch.equal(*found)


def test_scores_stay_with_their_pairs(setting: Setting) -> None:
    """Pairs are run by length and told in the order they came."""
    pairs = [setting.texts.pair(0, n) for n in (2, 0, 5, 1)]
    with torch.no_grad():
        together = loop.score_pairs(setting.model, pairs, vocabulary=setting.texts.vocabulary, bf16=False)
        alone = [
            loop.score_pairs(setting.model, [pair], vocabulary=setting.texts.vocabulary, bf16=False).item()
            for pair in pairs
        ]

    assert len({len(pair) for pair in pairs}) > 1
    assert alone == pytest.approx(together.tolist(), abs=1e-5)


def test_the_label_is_the_first_passage_and_the_random_one_the_last() -> None:
    """Gradients push the positive up and all others down; an absolute score is asked of the first and the last."""
    logits = torch.zeros(1, 3, requires_grad=True)
    losses = list_losses(logits, torch.zeros(1, 3), torch.tensor([True]))

    label, absolute = (
        torch.autograd.grad(losses[name], logits, retain_graph=True)[0] for name in ("label", "absolute")
    )

    assert [-2 / 3, 1 / 3, 1 / 3] == pytest.approx(label[0].tolist())
    assert [-0.5, 0.0, 0.5] == pytest.approx(absolute[0].tolist())


def test_labels_are_learned_of_labelled_lists_alone() -> None:
    """A list without a known positive counts neither in the sum nor in the mean."""
    logits = torch.tensor([[1.0, 0.0], [-3.0, 3.0]])
    teacher = torch.zeros(2, 2)

    both = list_losses(logits, teacher, torch.tensor([True, False]))
    one = list_losses(logits[:1], teacher[:1], torch.tensor([True]))

    assert (one["label"].item(), one["absolute"].item()) == pytest.approx(
        (both["label"].item(), both["absolute"].item())
    )


def test_losses_are_weighted_by_name() -> None:
    """What has no weight is not learned from."""
    losses = {"kl": torch.tensor(2.0), "margin": torch.tensor(3.0), "label": torch.tensor(5.0)}

    assert 2.5 == total(losses, {"kl": 0.5, "margin": 0.5}).item()


def test_another_seed_draws_other_lists_and_other_orders() -> None:
    """And each step others than the one before; a list's teacher scores stay with its passages."""
    columns = np.arange(40 * 20, dtype=np.int32).reshape(40, 20)
    lists = Lists(columns, columns.astype(np.float32), np.ones(40, bool), 15)

    def drawn(step: int, seed: int) -> Any:
        return draw(lists, range(40), step=step, seed=seed, batch=8, size=6)

    first, seeded, later = drawn(0, 0), drawn(0, 1), drawn(5, 0)
    assert first.queries.tolist() != seeded.queries.tolist()
    assert first.queries.tolist() != later.queries.tolist()  # the second epoch has another order
    assert (first.passages[:, 1:] % 20).tolist() != (seeded.passages[:, 1:] % 20).tolist()
    assert (first.passages[:, 1:] % 20).tolist() != (later.passages[:, 1:] % 20).tolist()
    assert (first.scores == first.passages).all()


def test_a_step_draws_with_the_runs_seed(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's seed, batch and list size are those of its options."""
    seen: list[dict[str, Any]] = []

    def noting(*args: Any, **more: Any) -> Any:
        seen.append(more)
        return draw(*args, **more)

    monkeypatch.setattr(loop, "draw", noting)
    setting.step(replace(OPTIONS, seed=23), step=3)

    assert [{"step": 3, "seed": 23, "batch": 6, "size": 3}] == seen


def test_no_known_answer_is_a_negative() -> None:
    """A query that stands on several lines, or has several positives: none of them is pushed down for another."""
    examples = [
        Example("red fox", ("a red fox", "the red fox runs")),
        Example("red fox", ("foxes that are red fox",)),
        *[Example(f"fox {n}", (f"fox number {n} red",)) for n in range(8)],
    ]
    for text in (plain_text(examples), make_text(examples, seed=0, shortest=1, longest=9)):
        found = mine(text, {}, {"bm25": 1.0}, hard=3, random=4, seed=1)

        answers = [{0, 1, 2}, {0, 1, 2}, *({n} for n in range(3, 11))]
        assert [0, 2, *range(3, 11)] == found.candidates[:10, 0].tolist()
        for row, known in zip(found.candidates.tolist(), answers, strict=False):
            assert not known & set(row[1:])
            assert len(set(row[:4])) == 4


def test_random_passages_are_never_the_positive() -> None:
    """However few passages there are."""
    passages = tuple(f"text {n} of several" for n in range(6))
    text = TrainingText(passages, tuple(f"text {n}" for n in range(6)), tuple(range(6)), 6)

    for seed in range(5):
        found = mine(text, {}, {"bm25": 1.0}, hard=2, random=3, seed=seed)
        assert not any(row[0] in row[1:] for row in found.candidates.tolist())
    other = mine(text, {}, {"bm25": 1.0}, hard=2, random=3, seed=9)
    assert found.candidates.tolist() != other.candidates.tolist()
