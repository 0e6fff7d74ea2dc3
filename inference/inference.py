"""Door for AWS's Hugging Face inference container: the toolkit imports this file from model.tar.gz:code/.

Nothing else is needed there: no requirements.txt, no network. See rerank_engine/handler.py for what the toolkit does
with exceptions and why none reaches it.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rerank_engine import handler


def model_fn(model_dir: str, context: Any = None) -> handler.Handler:
    """Load the model; on failure a handler that answers 503 with the reason."""
    return handler.load(model_dir)


def transform_fn(
    model: handler.Handler,
    data: bytes | bytearray | str | None,
    content_type: str | None,
    accept: str | None,
    context: Any = None,
) -> str:
    """Answer one request; status and headers travel through `context`."""
    return model.answer(data, content_type, accept, context)
