"""The model that is timed: a folder of yours, or a published shape with random weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rerank_ops.bench.workload import Workload
from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.shapes import SHAPES

_VOCABULARY = 30_000  # as published tokenizers have it: otherwise words fall into more tokens than they should


@contextmanager
def prepared(model: Path | None, shape: str, workload: Workload) -> Iterator[Path]:
    """A folder that contestants read and write their own files into; links to `model` where one is given."""
    with TemporaryDirectory(prefix="rerank-bench-") as temporary:
        folder = Path(temporary) / "model"
        if model is not None:
            folder.mkdir()
            for file in model.iterdir():
                if file.is_file():
                    (folder / file.name).symlink_to(file.resolve())
        else:
            make_random_checkpoint(folder, shape, SHAPES[shape], list(workload.texts))
            if SHAPES[shape].tokenizer == "bpe":
                _retrain(folder / "tokenizer.json", workload)
        yield folder


def _retrain(path: Path, workload: Workload) -> None:
    """A vocabulary of published size, from the very texts, so that a word takes as many tokens as it would."""
    from tokenizers import Tokenizer, trainers

    tokenizer = Tokenizer.from_file(str(path))
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=_VOCABULARY, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(workload.texts, trainer)
    tokenizer.save(str(path))
