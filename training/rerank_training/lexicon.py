"""What is known of a student's tokens before it has learned anything: how rare they are, what the teacher makes of
them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerank_training.biencoder import BiEncoder
from rerank_training.initial import Lexicon


def make_lexicon(tokenizer: Any, passages: Sequence[str], teacher: BiEncoder | None) -> Lexicon:
    """Rarity counted over `passages`; content from a bi-encoder, which reads each token as a text of its own.

    That is the trick of static distillation (https://github.com/MinishLab/model2vec): the embedding of a single word
    by a contextual model, reduced by PCA, is a good embedding of that word.
    """
    size = tokenizer.get_vocab_size()
    seen = np.zeros(size)
    for encoding in tokenizer.encode_batch(list(passages), add_special_tokens=False):
        seen[list(set(encoding.ids))] += 1
    vectors = None if teacher is None else teacher.encode([tokenizer.id_to_token(n) for n in range(size)])
    return Lexicon(vectors, rarity(seen, len(passages)))


def rarity(seen: NDArray[np.float64], passages: int) -> NDArray[np.float32]:
    """Inverse document frequency, standardised over the tokens that occur, within [-3, 2]: float32 (V,)."""
    idf = np.log((passages + 1) / (seen + 1))
    known = idf[seen > 0]
    return np.asarray(np.clip((idf - known.mean()) / max(float(known.std()), 1e-6), -3, 2), dtype=np.float32)
