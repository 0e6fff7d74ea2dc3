"""A checkpoint of any shape with weights drawn at random, and a tokenizer of the kind that such models have."""

import json
import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_ops.comparison.shapes import Shape, TokenizerKind

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

LARGEST_VOCABULARY = 4000
_PIECE = re.compile(r"▁?\w+|▁?[^\w\s]")  # words and punctuation, the first of each between spaces marked


def make_random_checkpoint(folder: Path, name: str, shape: Shape, text: Sequence[str], *, seed: int = 0) -> Path:
    """Write a checkpoint of `shape` into `folder`, equal for equal arguments; return `folder`.

    Its config says `"rerank_demo": true`, by which the engine knows that its scores mean nothing.

    Args:
        folder: made if absent.
        name: what the model calls itself.
        shape: what it is shaped like.
        text: what its tokenizer is made from; words of it become single tokens, as common words are in published ones.
        seed: of the weights.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = shape.config | {"_name_or_path": name, "rerank_demo": True, "torch_dtype": shape.stored}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(_tokenizer(shape.tokenizer, text).to_str(), encoding="utf-8")
    save_file(_weights(config, shape.stored, seed), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _weights(config: dict[str, Any], stored: str, seed: int) -> "dict[str, Tensor]":
    """Large enough for texts to differ in their scores, small enough for float16."""
    import torch

    from rerank_engine.models import recognise

    random = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        expected = recognise(config).from_config(config).state_dict()
    tensors = {}
    for name, tensor in expected.items():
        is_table = "embeddings" in name and tensor.ndim > 1
        scale = 0.02 if tensor.ndim == 1 else 0.5 if is_table else 1.5 / tensor.shape[-1] ** 0.5
        values = torch.empty(tensor.shape).normal_(0.0, scale, generator=random)
        is_norm = tensor.ndim == 1 and name.endswith(".weight")
        tensors[name] = (values + 1 if is_norm else values).to(getattr(torch, stored))
    return tensors


def _tokenizer(kind: TokenizerKind, text: Sequence[str]) -> "Tokenizer":
    return {"bpe": _bpe, "wordpiece": _wordpiece, "unigram": _unigram}[kind](text)


def _bpe(text: Sequence[str]) -> "Tokenizer":
    """As jina-reranker-v1-tiny-en has it: lower-cased BPE of words, `<s> query </s></s> document </s>`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a token of text, not of access
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=LARGEST_VOCABULARY, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def _wordpiece(text: Sequence[str]) -> "Tokenizer":
    """As BERT has it: `[CLS] query [SEP] document [SEP]`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text, not of access
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=LARGEST_VOCABULARY, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def _unigram(text: Sequence[str]) -> "Tokenizer":
    """As XLM-RoBERTa and DeBERTa have it: sentencepiece's Unigram, spaces as `▁`.

    Not trained: on little text a trained one cuts common words into pieces, which the published ones do not.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    counts = Counter(piece for line in text for word in line.split() for piece in _PIECE.findall(f"▁{word}"))
    rare = dict.fromkeys(["▁", *string.printable.strip()], math.log(0.01 / counts.total()))
    scores = rare | {piece: math.log(count / counts.total()) for piece, count in counts.items()}
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram([*((piece, 0.0) for piece in specials), *scores.items()], unk_id=3))
    tokenizer.add_special_tokens(specials)
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces, normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer
