"""Run by path in an interpreter of its own (see `isolated`), never imported: scores pairs with a bundle's own engine.

stdin: {"code": folder, "models": [folder, …], "pairs": [[query, document], …], "settings": {RERANK_…: value},
    "precision": "fp32", "one_tokenizer": whether to refuse a tokenizer that transformers would read otherwise}
stdout: {"family", "max_length", "settings", "precision", "logits": [[…] per model], "tokenizer": [what disagrees, …]},
    or {"error": {"kind", "message", "tip"}}
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

# fp32 on one CPU thread: the same numbers wherever it runs, up to the last digits.
REFERENCE = {"RERANK_DEVICE": "cpu", "RERANK_PRECISION": "fp32", "RERANK_THREADS": "1"}


class TokenizerMismatch(Exception):
    """tokenizer.json and tokenizer_config.json make other token ids of the same text."""

    tip = ""


def score(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to `request`."""
    code = Path(request["code"]).resolve()
    sys.path.insert(0, str(code))
    origin = Path(str(importlib.import_module("rerank_engine").__file__)).resolve()
    if not origin.is_relative_to(code):  # an installed one, which stood in for what is missing
        raise ImportError("the bundle's code/ holds no rerank_engine")
    settings = importlib.import_module("rerank_engine.settings").Settings
    written = settings.from_env(request["settings"]).to_env()
    engine = importlib.import_module("rerank_engine.reranker.engine")
    precision = request["precision"]
    reference = REFERENCE | {"RERANK_PRECISION": precision}
    tokenizer = _tokenizer(Path(request["models"][0]), refuse=request["one_tokenizer"])
    family, max_length, logits = "", 0, []
    for model_dir in request["models"]:
        reranker = engine.Reranker.load(Path(model_dir), settings.from_env(reference))
        family, max_length = str(reranker.family), int(reranker.max_length)
        precision = str(getattr(reranker, "precision", precision))  # engines of older bundles do not tell
        logits.append([float(logit) for logit in reranker.score([tuple(pair) for pair in request["pairs"]])])
    told = {"family": family, "max_length": max_length, "settings": written, "precision": precision}
    return {**told, "logits": logits, "tokenizer": tokenizer}


def _tokenizer(model_dir: Path, *, refuse: bool) -> list[str]:
    """What tokenizer_config.json has otherwise than tokenizer.json; engines of older bundles do not tell.

    Raises:
        TokenizerMismatch: token ids differ, and that is to be refused; before the weights are read.
    """
    read = importlib.import_module("rerank_engine.reranker.tokens").PairTokenizer.from_dir(model_dir)
    found = getattr(read, "disagreements", ())
    counting = [one for one in found if one.example is not None]
    if refuse and counting:
        mended = ", ".join(f'"{one.flag}": {json.dumps(one.stored, ensure_ascii=False)}' for one in counting)
        error = TokenizerMismatch(f"{'; '.join(map(str, counting))}: scores here would not be those of transformers.")
        error.tip = (
            f"If the model was trained with tokenizer.json as it is, write {mended} into tokenizer_config.json. Else "
            "write tokenizer.json anew: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)."
        )
        raise error
    return [str(one) for one in found]


def main() -> None:
    """Reads the request, writes the reply; what the engine prints goes to stderr."""
    reply_to = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        reply = score(json.load(sys.stdin))
    except Exception as error:
        tip = getattr(error, "tip", None)
        reply = {"error": {"kind": type(error).__name__, "message": str(error), "tip": tip}}
    with reply_to:
        json.dump(reply, reply_to)


if __name__ == "__main__":
    main()
