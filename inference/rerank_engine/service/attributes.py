"""X-Amzn-SageMaker-Custom-Attributes: all that a SageMaker endpoint lets out beside the body.

The caller's own come back first; tokens and times of the request follow, as `name=value` joined by semicolons:
    trace=7;query_tokens=4;document_tokens=187;total_tokens=251;pairs=10;queue_ms=0.1;tokenize_ms=0.8;forward_ms=12.4
Where there are any, `truncated=`, `empty=` and `unknown=` count texts that were cut, that have no tokens, and that are
mostly unknown to the model (the query included).
SageMaker takes visible ASCII, at most 1,024 characters, both ways: where ours find no room, they are left out.
One of the caller's is read: `caller=NAME` says whose share of the queue a request takes (see server/callers.py).
"""

import re
from collections.abc import Sequence

from rerank_engine.types import RerankResult

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
MOST_CHARACTERS = 1024


def echoable(attributes: str | None) -> str | None:
    """Custom attributes as SageMaker lets them out: visible ASCII, at most 1,024 characters; the rest is left out."""
    if not attributes:
        return None
    return "".join(sign for sign in attributes if " " <= sign <= "~")[:MOST_CHARACTERS] or None


def caller_of(attributes: str | None) -> str | None:
    """The value of `caller` among attributes joined by semicolons or commas; None when it is not there, or empty."""
    for attribute in re.split("[;,]", attributes or ""):
        name, _, value = attribute.partition("=")
        if name.strip().lower() == "caller":
            return value.strip() or None
    return None


def with_usage(
    attributes: str | None, results: Sequence[RerankResult], *, queue_s: float, tokenize_s: float, forward_s: float
) -> str | None:
    """The caller's attributes, followed by the tokens of all `results` and the seconds it took, in milliseconds."""
    if not results:
        return attributes
    usages = [result.usage for result in results]
    ours: dict[str, object] = {
        "query_tokens": sum(usage.query_tokens for usage in usages),
        "document_tokens": sum(usage.document_tokens for usage in usages),
        "total_tokens": sum(usage.total_tokens for usage in usages),
        "pairs": sum(usage.pairs for usage in usages),
    }
    if cut := sum(len(result.truncated_documents) for result in results):
        ours["truncated"] = cut
    if empty := sum(len(result.empty_documents) for result in results):
        ours["empty"] = empty
    if unknown := sum(len(result.unknown_documents) + result.query_unknown for result in results):
        ours["unknown"] = unknown
    times = {"queue_ms": queue_s, "tokenize_ms": tokenize_s, "forward_ms": forward_s}
    ours |= {name: round(seconds * 1000, 1) for name, seconds in times.items()}
    text = ";".join(f"{name}={value}" for name, value in ours.items())
    joined = f"{attributes.rstrip(';')};{text}" if attributes else text
    return joined if len(joined) <= MOST_CHARACTERS else attributes
