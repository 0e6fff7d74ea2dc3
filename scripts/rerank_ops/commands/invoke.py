"""rerank invoke: ask an endpoint."""

import argparse
import sys
import time
from typing import Any

from rerank_ops import console
from rerank_ops.aws import Aws, aws_options, deployment_parameters, parameter
from rerank_ops.documents import gather
from rerank_ops.errors import Usage

EPILOG = """\
examples:
  rerank invoke --query "what scales to zero?" "async endpoints" "real-time endpoints"
  rerank invoke --deployment production --query "…" --file candidates.jsonl --top-n 5
  jq -c .text docs.json | rerank invoke --local --query "…" --file - --json
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "invoke",
        help="ask an endpoint and show the ranking",
        description="Ranks documents by relevance to a query, with a deployed endpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("documents", nargs="*", metavar="DOCUMENT", help="text of a document")
    parser.add_argument("--query", required=True, help="what the documents should answer")
    parser.add_argument(
        "--file", metavar="PATH", help="documents, one a line (.txt), JSON Lines or a JSON list; - is standard input"
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--endpoint", metavar="NAME", help="name of the endpoint")
    target.add_argument("--deployment", default="sandbox", help="deployment whose endpoint to ask (default: sandbox)")
    parser.add_argument("--top-n", type=console.at_least(1), metavar="N", help="show the best N only")
    console.json_option(parser)
    aws_options(parser)


def run(args: argparse.Namespace) -> int:
    """Sends the documents and prints the ranking."""
    if not args.query.strip():
        raise Usage("--query is empty.", tip='Say what the documents should answer: --query "what scales to zero?"')
    documents = gather(args.documents, args.file, sys.stdin)
    from rerank_client import RerankClient

    aws = Aws.from_args(args)
    endpoint = args.endpoint or parameter(deployment_parameters(aws, args.deployment), args.deployment, "endpoint-name")
    client = RerankClient(endpoint, client=aws.client("sagemaker-runtime"))
    started = time.perf_counter()
    answer = client.rerank(args.query, documents, top_n=args.top_n, return_documents=True)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    if args.json:
        results = [{"index": r.index, "score": r.score, "document": r.document} for r in answer.results]
        console.emit(
            {"endpoint": endpoint, "model": answer.model, "total_tokens": answer.total_tokens, "results": results}
        )
        return 0
    rows = [(rank, r.score, r.index, _text(r.document)) for rank, r in enumerate(answer.results, start=1)]
    console.table(("rank", "score", "index", "document"), rows)
    sent = f"{len(documents)} documents, {answer.total_tokens:,} tokens, {answer.requests} request(s)"
    console.talk(f"{answer.model} on {endpoint}: {sent}, {elapsed_ms:.0f} ms.")
    return 0


def _text(document: object) -> str:
    return str(document["text"] if isinstance(document, dict) else document)
