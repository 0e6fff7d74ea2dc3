"""What a wire format costs: from the bytes of a request to its values, and from scores to the bytes of the answer.

    python -m rerank_ops.bench.dialect_overhead [--documents 100] [--tokens 200] [--rounds 300] [--json]

Bytes are decoded, JSON is read, the dialect recognised and parsed; then its answer is rendered and written. Tokenising
and scoring are left out, and so is HTTP. Documents are English words, 4.5 characters a token; where a format can return
documents by default, it does. The formats take turns; times are of one core, median and 95th percentile.
"""

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from rerank_engine import wire
from rerank_engine.dialects import Answer, RerankRequest, recognise
from rerank_engine.reranker.ranking import rank
from rerank_engine.service.media import MediaType
from rerank_engine.types import Prepared, PreparedDocument, RerankResult, Timings, TokenPair

_CHARACTERS_PER_TOKEN = 4.5
_WORDS = (
    "endpoint",
    "variant",
    "of",
    "the",
    "model",
    "scales",
    "a",
    "request",
    "instance",
    "naïve",
    "with",
    "“quoted”",
)
_TARGET_MS = 1.0


def payloads(query: str, documents: Sequence[str]) -> dict[str, object]:
    """One request of each dialect."""
    asked = {"query": query, "documents": documents}
    return {
        "jina": asked,
        "jina, no documents": asked | {"return_documents": False},
        "jina-sagemaker": {"data": asked},
        "cohere-v1": asked | {"api_version": 1, "return_documents": True},
        "cohere-v2": asked | {"api_version": 2},
        "tei": {"query": query, "texts": documents},
        "huggingface": {"inputs": [{"text": query, "text_pair": document} for document in documents]},
        "langchain": {"text_pairs": [[query, document] for document in documents]},
        "vllm-rerank": asked | {"use_activation": True},
        "vllm-score": {"text_1": query, "text_2": documents},
        "elasticsearch": {"query": query, "input": documents},
        "opensearch": {"query_text": query, "text_docs": documents},
        "native": {"rerank": asked | {"return_documents": True}},
    }


def measure(requests: Mapping[str, object], rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of reading and answering a request of each name: median and 95th percentile.

    The formats take turns, so that a machine that slows down for a while slows all of them.
    """
    works = {name: _work(payload) for name, payload in requests.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_timed(work))
    return {
        name: (statistics.median(found), sorted(found)[math.ceil(0.95 * (len(found) - 1))])
        for name, found in times.items()
    }


def _work(payload: object) -> Callable[[], None]:
    body = json.dumps(payload, ensure_ascii=False).encode()
    request = _read(body)
    results = [_scored(ranking.documents, request) for ranking in request.rankings]
    dialect = recognise(payload)
    answer = Answer("model", "0" * 32)

    def once() -> None:
        wire.dumps(dialect.render(_read(body), results, answer))

    return once


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m rerank_ops.bench.dialect_overhead", description=__doc__)
    parser.add_argument("--documents", type=int, default=100, help="documents of a request (%(default)s)")
    parser.add_argument("--tokens", type=int, default=200, help="tokens of a document (%(default)s)")
    parser.add_argument("--rounds", type=int, default=300, help="repetitions (%(default)s)")
    parser.add_argument("--json", action="store_true", help="write JSON to stdout")
    args = parser.parse_args(argv)
    draw = random.Random(0)  # noqa: S311 - words for a benchmark
    length = int(args.tokens * _CHARACTERS_PER_TOKEN)
    documents = [" ".join(draw.choices(_WORDS, k=length))[:length] for _ in range(args.documents)]
    found = measure(payloads("How do I scale it?", documents), args.rounds)
    if args.json:
        json.dump({name: {"p50_ms": p50, "p95_ms": p95} for name, (p50, p95) in found.items()}, sys.stdout, indent=2)
        print()
        return 0
    print(f"{args.documents} documents of {args.tokens} tokens; target: p50 of at most {_TARGET_MS:g} ms")
    print(f"{'dialect':20}{'p50 ms':>10}{'p95 ms':>10}")
    for name, (p50, p95) in found.items():
        print(f"{name:20}{p50:>10.3f}{p95:>10.3f}")
    return 0


def _read(body: bytes) -> RerankRequest:
    payload = wire.loads(MediaType().decode(body))
    assert isinstance(payload, dict)
    return recognise(payload).parse(payload)


def _scored(documents: Sequence[str], request: RerankRequest) -> RerankResult:
    pairs = [TokenPair([0] * 8, 4, False)] * len(documents)
    read = [PreparedDocument(range(number, number + 1), 4, False) for number in range(len(documents))]
    logits = [((number * 7919) % 1000) / 100 - 5 for number in range(len(documents))]
    return rank(Prepared(pairs, read, request.rankings[0].options, 4, False, 0.0), logits, Timings())


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    sys.exit(main())
