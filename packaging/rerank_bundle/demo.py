"""The demo's checkpoint: the small trained one that comes with the kit; and a seeded one with random weights.

The random one is made for tests, and for whoever names it (`demo-random`); it never stands in for the other. It has
the published format to the letter (config keys, tensor names, tokenizer structure of jinaai/jina-reranker-v1-tiny-en),
so that what is true of packaging, deploying and serving it is true of the real one. Its scores mean nothing, and its
config says so (`"rerank_demo": true`).
"""

import json
import string
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rerank_bundle.errors import SourceError
from rerank_bundle.places import place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME, RANDOM_NAME = "rerank-demo", "rerank-demo-random"
TRAINED = "training/checkpoints/demo"
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")  # their ids are their positions: 0..4
LARGEST_VOCABULARY = 1200


def demo_checkpoint() -> Path:
    """The trained checkpoint that comes with the kit.

    Raises:
        BundleError: this installation does not have it.
    """
    return place(f"{TRAINED}/config.json").parent


def make_demo_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    hidden: int = 96,
    layers: int = 2,
    heads: int = 12,
    ffn: int = 192,
    rows: int | None = None,
    stored: str = "float32",
) -> Path:
    """Write a checkpoint with random weights into `folder`, byte-identical for equal arguments; return `folder`.

    Twelve heads by default: the slopes of heads 9 to 12 are the ones that `alibi_tail_scale` is about. The shape of
    jina-reranker-v1-tiny-en: hidden=384, layers=4, ffn=1536, rows=61056, stored="float16".

    Args:
        rows: of the word embedding; by default as many as the tokenizer has tokens.
        stored: numpy's name of the type in which the weights are written.

    Raises:
        SourceError: numpy, safetensors or tokenizers is not installed.
    """
    try:
        from safetensors.numpy import save_file

        tokenizer = _tokenizer()
    except ImportError as error:
        raise SourceError(
            f"The demo checkpoint needs {error.name}, which is not installed.",
            tip="pip install numpy tokenizers safetensors (the kit's extra `engine` has them).",
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(rows or tokenizer.get_vocab_size(), hidden=hidden, layers=layers, heads=heads, ffn=ffn)
    config["torch_dtype"] = stored
    _write_json(folder / "config.json", config)
    _write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config())
    _write_json(folder / "special_tokens_map.json", {key: str(_tokenizer_config()[key]) for key in _ROLES})
    weights = {name: tensor.astype(stored) for name, tensor in _weights(config, seed).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _config(vocabulary: int, *, hidden: int, layers: int, heads: int, ffn: int) -> dict[str, Any]:
    return {
        "_name_or_path": NAME,
        "alibi_tail_scale": 1.0,
        "architectures": ["JinaBertModel"],
        "attention_probs_dropout_prob": 0.1,
        "emb_pooler": "mean",
        "feed_forward_type": "geglu",
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": ffn,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 8192,
        "model_type": "bert",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,  # as published: the id of <s>; readers take special ids from the tokenizer
        "position_embedding_type": "alibi",
        "rerank_demo": True,
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
    }


_ROLES = ("bos_token", "eos_token", "sep_token", "cls_token", "unk_token", "pad_token", "mask_token")


def _tokenizer_config() -> dict[str, object]:
    values = ("<s>", "</s>", "</s>", "<s>", "<unk>", "<pad>", "<mask>")
    return {**dict(zip(_ROLES, values, strict=True)), "model_max_length": 8192, "tokenizer_class": "RobertaTokenizer"}


def _tokenizer() -> Any:
    """Lowercase → Whitespace → BPE → `<s> query </s></s> document </s>`, trained on the text shipped beside this file.

    The trainer breaks ties of equally frequent pairs by their ids, so the merges depend on the text alone.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a token of text, not of access
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    alphabet = sorted(set(string.ascii_lowercase + string.digits + string.punctuation))
    trainer = trainers.BpeTrainer(
        vocab_size=LARGEST_VOCABULARY,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    text = files("rerank_bundle").joinpath("data/demo_text.txt").read_text(encoding="utf-8")
    tokenizer.train_from_iterator(text.splitlines(), trainer)
    # By position: the keyword of the second argument is `cls` in some releases and `cls_token` in others.
    separator, classifier, trim_offsets, add_prefix_space = ("</s>", 2), ("<s>", 0), True, False
    tokenizer.post_processor = processors.RobertaProcessing(separator, classifier, trim_offsets, add_prefix_space)
    return tokenizer


def _weights(config: dict[str, Any], seed: int) -> dict[str, "NDArray[np.float32]"]:
    """The state dict, in the published names; larger than an initialisation, so that texts differ in their scores."""
    import numpy as np

    random = np.random.default_rng(seed)
    h, i, v = config["hidden_size"], config["intermediate_size"], config["vocab_size"]

    def normal(*shape: int, scale: float | None = None) -> "NDArray[np.float32]":
        wanted = scale if scale is not None else 1.5 / shape[-1] ** 0.5
        return (random.standard_normal(shape) * wanted).astype(np.float32)

    tensors: dict[str, NDArray[np.float32]] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        tensors[f"{name}.weight"] = normal(outputs, inputs)
        tensors[f"{name}.bias"] = normal(outputs, scale=0.02)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = np.float32(1.0) + normal(h, scale=0.02)
        tensors[f"{name}.bias"] = normal(h, scale=0.02)

    tensors["bert.embeddings.word_embeddings.weight"] = normal(v, h, scale=0.5)
    tensors["bert.embeddings.token_type_embeddings.weight"] = normal(config["type_vocab_size"], h, scale=0.1)
    norm("bert.embeddings.LayerNorm")
    for n in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{n}"
        for part in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{part}", h, h)
        linear(f"{layer}.attention.output.dense", h, h)
        norm(f"{layer}.attention.output.LayerNorm")
        tensors[f"{layer}.mlp.gated_layers.weight"] = normal(2 * i, h)  # no bias, as published
        linear(f"{layer}.mlp.wo", h, i)
        norm(f"{layer}.mlp.layernorm")
    linear("bert.pooler.dense", h, h)
    linear("classifier", 1, h)
    return tensors


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
