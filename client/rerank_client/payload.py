"""Cutting one call into requests that fit SageMaker's payload limit. Pure: no boto3, no clock.

A cross-encoder scores each (query, document) pair on its own, so a list of documents may be cut anywhere: the scores do
not change, and merging the parts is exact.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rerank_client.errors import DocumentTooLarge, InvalidCall
from rerank_client.types import Document

MAX_PAYLOAD_BYTES = 6_291_456  # BodyBlob.max of botocore's sagemaker-runtime model; boto3 itself does not check it


@dataclass(frozen=True, slots=True)
class Part:
    """One request: the documents [start, start + count) of the call, serialized.

    Attributes:
        start: index of its first document in the caller's list.
        count: number of documents.
        body: the exact bytes to send.
    """

    start: int
    count: int
    body: bytes


def split(
    query: str,
    documents: Sequence[Document],
    options: Mapping[str, object],
    *,
    top_n: int | None = None,
    max_bytes: int = MAX_PAYLOAD_BYTES,
    max_documents: int = 10_000,
) -> list[Part]:
    """The fewest consecutive parts whose bodies are at most `max_bytes` long and carry at most `max_documents`.

    `top_n` is sent with every part (the best n of all are among the best n of each), cut to the part's size.

    Raises:
        DocumentTooLarge: one document with the query does not fit on its own.
        InvalidCall: the query alone does not fit, or a document is neither text nor an object with one.
    """
    encoded = [encode_text(_text(document, index)) for index, document in enumerate(documents)]
    head = b'{"query":' + encode_text(query) + b',"documents":['
    room = max_bytes - len(head) - len(_tail(options, top_n))  # top_n never gets longer when it is cut
    if room < 2:
        raise InvalidCall(f"The query alone makes a request of {max_bytes - room:,} bytes; the limit is {max_bytes:,}.")
    parts: list[Part] = []
    start, size = 0, 0
    for index, document in enumerate(encoded):
        if len(document) > room:
            raise DocumentTooLarge(index, max_bytes - room + len(document), max_bytes)
        if index > start and (size + 1 + len(document) > room or index - start >= max_documents):
            parts.append(_part(head, encoded, start, index, options, top_n))
            start, size = index, 0
        size += len(document) + (1 if index > start else 0)
    if encoded:
        parts.append(_part(head, encoded, start, len(encoded), options, top_n))
    return parts


def encode_text(text: str) -> bytes:
    """`text` as a JSON string: UTF-8, or escapes where UTF-8 cannot say it (lone surrogates)."""
    try:
        return json.dumps(text, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(text).encode("ascii")


def _text(document: Document, index: int) -> str:
    text = document.get("text") if isinstance(document, Mapping) else document
    if not isinstance(text, str):
        raise InvalidCall(
            f"Document {index} is {document!r:.80}.", tip='Give a string, or an object with a string under "text".'
        )
    return text


def _tail(options: Mapping[str, object], top_n: int | None) -> bytes:
    more = dict(options) | ({} if top_n is None else {"top_n": top_n})
    fields = (b"," + encode_text(key) + b":" + json.dumps(value).encode() for key, value in more.items())
    return b"]" + b"".join(fields) + b"}"


def _part(
    head: bytes, encoded: Sequence[bytes], start: int, end: int, options: Mapping[str, object], top_n: int | None
) -> Part:
    tail = _tail(options, None if top_n is None else min(top_n, end - start))
    return Part(start, end - start, head + b",".join(encoded[start:end]) + tail)
