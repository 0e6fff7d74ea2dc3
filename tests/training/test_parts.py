"""The parts of a run: pairs, lists, losses, initialisation, attention, bi-encoder."""

import json
import math
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from rerank_bundle.demo import make_demo_checkpoint
from rerank_engine.models import load_model, recognise
from rerank_engine.models.base import PackedBatch
from rerank_engine.reranker.tokens import PairTokenizer
from rerank_training.biencoder import BiEncoder
from rerank_training.errors import DataError, ScorerError
from rerank_training.export import student_config, write_checkpoint
from rerank_training.forward import training_logits
from rerank_training.initial import Lexicon, initialise, principal
from rerank_training.losses import list_losses
from rerank_training.mining import Lists, draw, mine
from rerank_training.pairs import PairTexts
from rerank_training.passages import TrainingText, make_text
from rerank_training.texts import Example
from rerank_training.vocabulary import train_tokenizer


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo_checkpoint(tmp_path_factory.mktemp("demo"), hidden=48, ffn=48)


def test_training_pairs_are_what_the_engine_will_read(demo: Path) -> None:
    """Special ids come from the tokenizer: pad_token_id 0 of the config is the id of <s>."""
    query, passage = "What is a variant?", "A production variant is a model behind an endpoint."
    engine = PairTokenizer.from_dir(demo)

    found = PairTexts(demo / "tokenizer.json", [query], [passage]).pair(0, 0)

    wanted = engine.pair(
        engine.encode_query(query), engine.encode_documents([passage])[0], max_length=512, max_document=None
    )
    assert found == list(wanted.ids)
    assert (found[0], found[-1]) == (0, 2)
    assert 1 not in found  # <pad> is nowhere: batches are packed


def test_training_computes_what_the_engine_computes(demo: Path) -> None:
    """The attention that is fast to differentiate gives the engine's logits."""
    model = load_model(demo, device=torch.device("cpu"), dtype=torch.float32)
    rng = random.Random(0)
    ids = sorted(([0, *(rng.randrange(5, 400) for _ in range(n)), 2] for n in (4, 4, 9, 30)), key=len)
    batch = PackedBatch.pack(ids, torch.device("cpu"), vocab_size=model.vocab_size)

    with torch.no_grad():
        difference = (training_logits(model, batch) - model(batch)).abs().max()

    assert difference < 2e-5


def test_equal_steps_draw_equal_lists() -> None:
    """A step's lists depend on its number and the seed alone; each epoch sees every query once."""
    lists = Lists(
        np.arange(200 * 20, dtype=np.int32).reshape(200, 20), np.zeros((200, 20), np.float32), np.ones(200, bool), 15
    )
    drawn = [draw(lists, range(40), step=step, seed=3, batch=8, size=6) for step in range(10)]

    again = draw(lists, range(40), step=7, seed=3, batch=8, size=6)

    assert (again.passages == drawn[7].passages).all()
    assert sorted(int(q) for d in drawn[:5] for q in d.queries) == list(range(40))
    assert (drawn[0].passages[:, 0] == drawn[0].queries * 20).all()
    assert all(len(set(row)) == 6 for d in drawn for row in d.passages.tolist())


def test_mined_lists_begin_with_the_positive_and_go_on_with_what_bm25_confuses() -> None:
    """Scores are standardised over the hard candidates; a random passage does not fall below the floor."""
    passages = ("red fox runs", "red fox sleeps", "red wine", "blue whale", "green tea", "old book", "big city")
    text = TrainingText(passages, ("red fox sleeps late",), (1,), 1)

    found = mine(text, {}, {"bm25": 1.0}, hard=2, random=2)

    assert list(found.candidates[0, :3]) == [1, 0, 2]
    assert found.scores[0, :3].mean() == pytest.approx(0, abs=1e-5)
    assert found.scores.min() >= -6
    with pytest.raises(DataError, match="Teachers"):
        mine(text, {}, {"other": 1.0})


def test_losses_are_those_worked_out_by_hand() -> None:
    """A student that says what the teacher says, up to an offset, has nothing to learn from it."""
    teacher = torch.tensor([[2.0, 0.0, -1.0]])
    known = torch.tensor([True])

    same = list_losses(teacher + 5, teacher, known)
    flat = list_losses(torch.zeros(1, 3), teacher, torch.tensor([False]))

    assert same["kl"].item() == pytest.approx(0, abs=1e-6)
    assert same["margin"].item() == pytest.approx(0, abs=1e-6)
    p = torch.softmax(teacher, -1)[0]
    assert flat["kl"].item() == pytest.approx(float((p * (p * 3).log()).sum()), abs=1e-6)
    pairs = [(2.0 - 0) ** 2, (2.0 + 1) ** 2, (0 + 1.0) ** 2]
    assert flat["margin"].item() == pytest.approx(2 * sum(pairs) / 9, abs=1e-6)
    assert (flat["label"].item(), flat["absolute"].item()) == (0, 0)
    assert list_losses(torch.zeros(1, 3), teacher, known)["label"].item() == pytest.approx(math.log(3), abs=1e-6)


def test_an_untrained_student_already_prefers_documents_with_the_querys_words(words: list[str]) -> None:
    """The matching initialisation ranks better than chance before a single step."""
    rng = random.Random(0)
    texts = [" ".join(rng.sample(words, 12)) for _ in range(120)]
    tokenizer = train_tokenizer([" ".join(words)] * 3 + texts, size=700)
    config = student_config(
        name="s", vocabulary=tokenizer.get_vocab_size(), width=192, layers=3, heads=12, feed_forward=64
    )
    model = recognise(config).from_config(config)
    rarity = np.zeros(tokenizer.get_vocab_size(), np.float32)
    initialise(model, config, Lexicon(None, rarity), seed=0)
    wins = 0
    for text, other in pairwise(texts):
        query = " ".join(rng.sample(text.split(), 4))
        ids = [tokenizer.encode(query, document).ids for document in (text, other)]
        with torch.no_grad():
            right, wrong = model(PackedBatch.pack(ids, torch.device("cpu"), vocab_size=model.vocab_size)).tolist()
        wins += right > wrong

    assert wins > 0.65 * (len(texts) - 1)


def test_principal_components_keep_the_largest_directions() -> None:
    """Two directions carry the data: two components tell its points apart, in any order of the columns."""
    rng = np.random.default_rng(0)
    data = (rng.standard_normal((50, 2)) @ rng.standard_normal((2, 8))).astype(np.float32)

    found = principal(data, 4, whitening=0)

    assert np.allclose(found[:, 2:], 0, atol=1e-3)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (data, found)]
    assert np.allclose(*distances, atol=1e-3)


def test_text_is_shaped_the_same_way_each_time() -> None:
    """Long passages are cut, short neighbours joined; queries are made; nothing depends on more than the seed."""
    examples = [
        Example(f"question {n}?", (" ".join(f"word{n}x{m}" for m in range(8 + 40 * (n % 5))),), title="T")
        for n in range(30)
    ]

    first, second = make_text(examples, seed=1), make_text(examples, seed=1)

    assert first == second
    assert first.given == 30
    assert len(first.queries) == 60
    assert all(len(passage.split()) <= 260 for passage in first.passages)


def test_equal_checkpoints_have_equal_bytes(demo: Path, tmp_path: Path) -> None:
    """Written twice, in fp16, with the tokenizer and its companions."""
    model = load_model(demo, device=torch.device("cpu"), dtype=torch.float32)
    config = json.loads((demo / "config.json").read_text())

    folders = [write_checkpoint(tmp_path / name, model.state_dict(), config, demo / "tokenizer.json") for name in "ab"]

    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    companions = {"tokenizer_config.json", "special_tokens_map.json"}
    assert set(contents[0]) == {"config.json", "model.safetensors", "tokenizer.json"} | companions


def test_a_text_is_embedded_alike_alone_and_in_company(bi_encoder: Path) -> None:
    """Unit vectors, in the texts' order, whatever they are padded with."""
    encoder = BiEncoder(bi_encoder)
    texts = ["a b c", "d", "a b c d e f g h a b c", "h g"]

    together = encoder.encode(texts)

    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_a_model_of_another_kind_is_no_bi_encoder(demo: Path) -> None:
    """ALiBi is not read as absolute positions."""
    with pytest.raises(ScorerError, match="Only BERT bi-encoders"):
        BiEncoder(demo)
