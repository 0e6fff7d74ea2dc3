"""Write what `rerank package` takes: config.json, model.safetensors, tokenizer.json and its two companions."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
NAMES = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
_ROLES = ("bos_token", "eos_token", "sep_token", "cls_token", "unk_token", "pad_token", "mask_token")
_TOKENS = ("<s>", "</s>", "</s>", "<s>", "<unk>", "<pad>", "<mask>")


def student_config(
    *, name: str, vocabulary: int, width: int, layers: int, heads: int, feed_forward: int, window: int = 8192
) -> dict[str, Any]:
    """config.json of a JinaBERT in the published format, canonical ALiBi slopes declared."""
    return {
        "_name_or_path": name,
        "alibi_tail_scale": 1.0,
        "architectures": ["JinaBertModel"],
        "attention_probs_dropout_prob": 0.0,
        "emb_pooler": "mean",
        "feed_forward_type": "geglu",
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": width,
        "initializer_range": 0.02,
        "intermediate_size": feed_forward,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": window,
        "model_type": "bert",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,  # as published: the id of <s>; readers take special ids from the tokenizer
        "position_embedding_type": "alibi",
        "torch_dtype": "float32",
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
    }


def write_checkpoint(
    folder: Path,
    state: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    tokenizer_file: Path,
    *,
    dtype: str = "fp16",
) -> Path:
    """Write a checkpoint, each file atomically; equal arguments give equal bytes.

    Args:
        folder: made if absent; other files in it stay.
        state: the weights, in the published names.
        config: config.json; its torch_dtype is set to `dtype`.
        tokenizer_file: tokenizer.json, copied; companions beside it are copied too, or written for the published roles.
        dtype: fp16, bf16 or fp32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = DTYPES[dtype]
    tensors = {name: tensor.detach().to("cpu", wanted).contiguous() for name, tensor in state.items()}
    part = folder / "model.safetensors.part"
    save_file(tensors, part, metadata={"format": "pt"})
    part.chmod(0o644)  # safetensors writes for the owner alone
    part.replace(folder / "model.safetensors")
    _json(folder / "config.json", {**config, "torch_dtype": NAMES[dtype]})
    if tokenizer_file.resolve() != (folder / "tokenizer.json").resolve():
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")
    roles = dict(zip(_ROLES, _TOKENS, strict=True))
    written: dict[str, dict[str, Any]] = {
        "special_tokens_map.json": dict(roles),
        "tokenizer_config.json": {**roles, "model_max_length": 8192, "tokenizer_class": "RobertaTokenizer"},
    }
    for name, content in written.items():
        beside = tokenizer_file.parent / name
        if beside.exists() and beside.resolve() != (folder / name).resolve():
            shutil.copyfile(beside, folder / name)
        elif not (folder / name).exists():
            _json(folder / name, content)
    return folder


def _json(path: Path, value: Mapping[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
