"""From a request's texts to token pairs: the query encoded once, equal documents once, long ones split into chunks.

Documents are equal if their tokens are: `Async` and `async` are one document to a model that lowers case, and get one
score.
"""

import time
from collections.abc import Sequence

from rerank_engine.reranker.chunking import ChunkPlan, Span, plan
from rerank_engine.reranker.limits import is_blank, too_long
from rerank_engine.reranker.tokens import PairTokenizer
from rerank_engine.settings import Settings
from rerank_engine.types import Prepared, PreparedDocument, RerankOptions, TokenPair


def prepare(
    tokenizer: PairTokenizer,
    query: str,
    documents: Sequence[str],
    options: RerankOptions,
    *,
    max_length: int,
    settings: Settings,
) -> Prepared:
    """Tokenise a request whose fields have been checked.

    Args:
        tokenizer: of the checkpoint.
        query: cut to its share first, so that a document always has room.
        documents: each read up to the options' limit, and as far as its chunks reach.
        options: may cap queries, documents and chunks further, or forbid cutting.
        max_length: tokens of the longest pair.
        settings: where the options do not say.

    Raises:
        InvalidRequest: a text would lose tokens and `options.truncate` is off.
    """
    started = time.perf_counter()
    max_query = tokenizer.query_share(max_length=max_length, max_query=settings.max_query_tokens)
    max_query = min(max_query, options.max_tokens_per_query or max_query)
    query_ids = [] if is_blank(query) else tokenizer.encode_query(query, max_query if options.truncate else None)
    kept = query_ids[:max_query]
    chunks = _chunks(tokenizer.document_room(len(kept), max_length=max_length), options, settings)
    readable = min(chunks.reach, options.max_tokens_per_document or chunks.reach)
    distinct = list(dict.fromkeys(documents))
    encoded = tokenizer.encode_documents(distinct, readable if options.truncate else None)
    encoded = [[] if is_blank(text) else ids for text, ids in zip(distinct, encoded, strict=True)]
    if not options.truncate:
        tokens_of = dict(zip(distinct, map(len, encoded), strict=True))
        lengths: dict[tuple[str | int, ...], tuple[int, int]] = {("query",): (len(query_ids), max_query)}
        lengths |= {("documents", index): (tokens_of[text], readable) for index, text in enumerate(documents)}
        if excess := {field: (tokens, fit) for field, (tokens, fit) in lengths.items() if tokens > fit}:
            raise too_long(excess)
    pairs: list[TokenPair] = []
    prepared: dict[str, PreparedDocument] = {}
    pairs_of: dict[tuple[int, ...], range] = {}
    for text, ids in zip(distinct, encoded, strict=True):
        read = tuple(ids[:readable])
        spans = chunks.spans(len(read))
        cut = len(ids) > readable
        if read not in pairs_of:
            first = len(pairs)
            pairs += [tokenizer.pair(kept, read[start:stop], max_length=max_length) for start, stop in spans]
            pairs_of[read] = range(first, len(pairs))
        characters = _characters(tokenizer, text, spans, cut=cut) if options.locate else []
        unknown = tokenizer.mostly_unknown(read)
        prepared[text] = PreparedDocument(pairs_of[read], len(read), cut, characters, unknown)
    return Prepared(
        pairs=pairs,
        documents=[prepared[text] for text in documents],
        options=options,
        query_tokens=len(kept),
        query_truncated=len(query_ids) > len(kept),
        tokenize_s=time.perf_counter() - started,
        query_unknown=tokenizer.mostly_unknown(kept),
    )


def _chunks(room: int, options: RerankOptions, settings: Settings) -> ChunkPlan:
    size, overlap, most = options.chunk_tokens, options.chunk_overlap, options.max_chunks_per_document
    return plan(
        room,
        size=settings.chunk_tokens if size is None else size,
        overlap=settings.chunk_overlap if overlap is None else overlap,
        most=settings.max_chunks_per_document if most is None else most,
    )


def _characters(tokenizer: PairTokenizer, text: str, spans: Sequence[Span], *, cut: bool) -> list[Span]:
    """The characters each chunk covers; tokens have to be encoded anew for that, so only where there is a cut."""
    if len(spans) == 1 and not cut:
        return [(0, len(text))]
    offsets = tokenizer.offsets(text, spans[-1][1])
    return [(offsets[start][0], offsets[stop - 1][1]) for start, stop in spans]
