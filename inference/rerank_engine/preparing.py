"""From a request's texts to token pairs: the query encoded once, equal documents once, everything cut to the window."""

import time
from collections.abc import Sequence

from rerank_engine.limits import too_long
from rerank_engine.tokens import PairTokenizer
from rerank_engine.types import Prepared, RerankOptions


def prepare(
    tokenizer: PairTokenizer,
    query: str,
    documents: Sequence[str],
    options: RerankOptions,
    *,
    max_length: int,
    max_query: int,
) -> Prepared:
    """Tokenise a request whose fields have been checked.

    Args:
        tokenizer: of the checkpoint.
        query: cut to `max_query` tokens first, so that a document always has room.
        documents: each cut to what the query leaves of the window.
        options: may cap documents further, or forbid cutting.
        max_length: tokens of the longest pair.
        max_query: tokens of the longest query.

    Raises:
        InvalidRequest: a text does not fit and `options.truncate` is off.
    """
    started = time.perf_counter()
    query_ids = tokenizer.encode_query(query, max_query if options.truncate else None)
    kept = query_ids[:max_query]
    room = tokenizer.document_room(len(kept), max_length=max_length, max_document=options.max_tokens_per_document)
    distinct = list(dict.fromkeys(documents))
    encoded = tokenizer.encode_documents(distinct, room if options.truncate else None)
    if not options.truncate:
        tokens_of = dict(zip(distinct, map(len, encoded), strict=True))
        lengths: dict[tuple[str | int, ...], tuple[int, int]] = {("query",): (len(query_ids), max_query)}
        lengths |= {("documents", index): (tokens_of[text], room) for index, text in enumerate(documents)}
        if excess := {field: (tokens, fit) for field, (tokens, fit) in lengths.items() if tokens > fit}:
            raise too_long(excess)
    pair_of = {
        text: tokenizer.pair(kept, ids, max_length=max_length, max_document=room)
        for text, ids in zip(distinct, encoded, strict=True)
    }
    return Prepared(
        pairs=[pair_of[text] for text in documents],
        options=options,
        query_tokens=len(kept),
        query_truncated=len(query_ids) > len(kept),
        tokenize_s=time.perf_counter() - started,
    )
