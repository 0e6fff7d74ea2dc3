"""A fresh student that can already match words.

A cross-encoder of three layers takes millions of pairs to discover by itself that a query's word occurring in the
document is a good sign. This initialisation puts the three steps of that into the layers, as small perturbations of
random weights that training is free to change:

    embeddings   content: the teacher's vector of the token, reduced by PCA; aux columns: rarity (IDF), <s>, </s>
    first layer  heads look for <s> under ALiBi's decay: how much of it a token sees says how near the query it stands
    middle       heads match tokens by content, away from the query's side, with <s> as the sink for "nothing alike"
    last         <s> gathers what the rare tokens near it (the query's) found

Nothing leaves the architecture: it is one way of drawing the weights of a JinaBERT.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SHARPNESS = 20.0
SINK = 1.6
FLAG = 10.6  # what <s> and </s> read in their own column after the first norm
AUX = 16  # columns of the width that carry no content
RARITY, START, END, NEAR, FOUND = 0, 1, 2, 3, 9  # aux columns; NEAR and FOUND take a few each
# head: (pull of <s>, pull of </s>), so that <s> is out of sight after 10 to 40 tokens, by its slope (0.7 … 0.125)
NEAR_HEADS = {8: (13.0, 4.0), 0: (11.0, 3.0), 9: (9.5, 1.0), 1: (8.5, 0.0), 10: (7.5, 0.0), 2: (6.5, 0.0)}
MATCH_HEADS = (3, 4, 5, 6, 7, 11)  # flat slopes: the document is far away
GATHER_HEADS = (1, 2, 3, 4, 9, 10, 11)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What is known of each token before training.

    Attributes:
        vectors: content of each token: float32 (V, any width); None draws them at random.
        rarity: inverse document frequency, standardised: float32 (V,).
    """

    vectors: NDArray[np.float32] | None
    rarity: NDArray[np.float32]


def initialise(model: nn.Module, config: dict[str, Any], lexicon: Lexicon, *, seed: int, noise: float = 0.02) -> None:
    """Draw the weights of a JinaBERT of at least two layers and twelve heads in place, as the module describes."""
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith(("LayerNorm.weight", "layernorm.weight")):
            tensor.fill_(1.0)
        elif name.endswith("bias"):
            tensor.zero_()
        else:
            # Fan-in scaled for the feed-forward and the pooler; small where structure is laid on top.
            scale = noise if "attention" in name or "embeddings" in name else 0.5 / math.sqrt(tensor.shape[-1])
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)
    width, heads, layers = config["hidden_size"], config["num_attention_heads"], config["num_hidden_layers"]
    _embed(state, lexicon, width, generator)
    wiring = _Wiring(state, width, heads, generator)
    wiring.near(0)
    for layer in range(1, layers - 1):
        wiring.match(layer)
    wiring.gather(layers - 1)
    model.load_state_dict(state)


def _embed(state: dict[str, Tensor], lexicon: Lexicon, width: int, generator: torch.Generator) -> None:
    words = state["bert.embeddings.word_embeddings.weight"]
    content = width - AUX
    if lexicon.vectors is None:
        drawn = torch.randn((len(words), content), generator=generator)
    else:
        drawn = torch.from_numpy(principal(lexicon.vectors, content))
    words.zero_()
    words[:, :content] = drawn * (math.sqrt(content) / drawn.norm(dim=1, keepdim=True).clamp_min(1e-6))
    words[:, content + RARITY] = torch.from_numpy(lexicon.rarity) * 1.5
    words[:5, :content] *= 0.3
    words[0, content + START], words[2, content + END] = 6.0, 6.0
    state["bert.embeddings.token_type_embeddings.weight"].zero_()


def principal(vectors: NDArray[np.float32], width: int, *, whitening: float = 0.5) -> NDArray[np.float32]:
    """The `width` main components of `vectors`, each divided by its deviation to the power `whitening`.

    float32 (V, width).

    Whitened by half: fully, noise components weigh as much as meaning; not at all, a few components decide every match.
    """
    centred = vectors - vectors.mean(0)
    covariance = centred.T.astype(np.float64) @ centred.astype(np.float64) / len(centred)
    values, directions = np.linalg.eigh(covariance)
    order = np.argsort(-values)[:width]
    signs = np.sign(directions[np.abs(directions[:, order]).argmax(0), order])  # one of two signs: always the same
    scale = np.maximum(values[order], 1e-12) ** (-whitening / 2)
    found = np.zeros((len(vectors), width), dtype=np.float32)
    found[:, : len(order)] = centred @ (directions[:, order] * signs * scale)
    return found


class _Wiring:
    """Writes structure into the attention weights of one state dict."""

    def __init__(self, state: dict[str, Tensor], width: int, heads: int, generator: torch.Generator) -> None:
        self.state, self.heads, self.generator = state, heads, generator
        self.size, self.content = width // heads, width - AUX

    def part(self, layer: int, name: str) -> Tensor:
        return self.state[f"bert.encoder.layer.{layer}.attention.{name}"]

    def near(self, layer: int) -> None:
        """Heads that look for <s>, and </s>: their values say which of them is seen, by how much."""
        for slot, (head, (start, end)) in enumerate(NEAR_HEADS.items()):
            first = head * self.size
            self.part(layer, "self.query.bias")[first] = math.sqrt(self.size)
            self.part(layer, "self.key.weight")[first, self.content + START] = start / FLAG
            self.part(layer, "self.key.weight")[first, self.content + END] = end / FLAG
            self.part(layer, "self.value.weight")[first, self.content + START] = 4.0 / FLAG
            self.part(layer, "output.dense.weight")[self.content + NEAR + slot, first] = 1.0

    def match(self, layer: int) -> None:
        """Heads whose keys are their queries: like content attends to like, tokens near <s> are passed over."""
        found = list(range(FOUND, FOUND + len(MATCH_HEADS)))
        basis = torch.linalg.qr(torch.randn((self.content, self.content), generator=self.generator)).Q.T
        inner = self.size - 1
        for slot, head in enumerate(MATCH_HEADS):
            first = head * self.size
            rows = basis[slot * inner : (slot + 1) * inner] if (slot + 1) * inner <= self.content else basis[:inner]
            # Content has unit variance per column, and a row of an orthogonal matrix keeps that: q·k is about `inner`.
            gain = math.sqrt(SHARPNESS / inner * math.sqrt(self.size))
            for name in ("self.query.weight", "self.key.weight"):
                self.part(layer, name)[first : first + inner, : self.content] += gain * rows
            last = first + inner
            self.part(layer, "self.query.bias")[last] = math.sqrt(self.size)
            for near in range(len(NEAR_HEADS)):
                self.part(layer, "self.key.weight")[last, self.content + NEAR + near] = -0.6
                self.part(layer, "self.value.weight")[first, self.content + NEAR + near] = -0.1
            self.part(layer, "self.key.weight")[last, self.content + START] = SINK
            self.part(layer, "self.value.bias")[first] = 2.0
            self.part(layer, "output.dense.weight")[self.content + found[slot], first] = 1.5

    def gather(self, layer: int) -> None:
        """Heads by which <s> reads what rare tokens near it found; the pooler's first row sums it up."""
        for slot, head in enumerate(GATHER_HEADS):
            first = head * self.size
            self.part(layer, "self.query.bias")[first] = math.sqrt(self.size)
            self.part(layer, "self.key.weight")[first, self.content + RARITY] = 1.0
            self.part(layer, "self.key.weight")[first, self.content + START] = -2.0
            self.part(layer, "self.key.weight")[first, self.content + END] = -2.0
            for near in range(len(NEAR_HEADS)):
                self.part(layer, "self.key.weight")[first, self.content + NEAR + near] = 0.5
            for found in range(len(MATCH_HEADS)):
                self.part(layer, "self.value.weight")[first, self.content + FOUND + found] = 0.5
            self.part(layer, "output.dense.weight")[self.content + FOUND + slot % len(MATCH_HEADS), first] = 1.0
        pooler = self.state["bert.pooler.dense.weight"]
        pooler[0].zero_()
        pooler[0, self.content + FOUND : self.content + FOUND + len(MATCH_HEADS)] = 0.15
        self.state["bert.pooler.dense.bias"][0] = -0.15 * 20.0
        self.state["classifier.weight"].mul_(0.2)
        self.state["classifier.weight"][0, 0] = 4.0
