"""rerank demo: package, deploy, invoke, batch transform, on this machine; what scripts/run shows."""

import argparse
from typing import Any

from rerank_ops import console

EPILOG = """\
examples:
  rerank demo            show everything, then take everything down
  rerank demo --keep     leave the endpoint running, to play with
  rerank demo --json     one JSON value: seconds of each step, rankings, the batch job's agreement
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "demo",
        help="the whole road on this machine, in a minute",
        description="Builds a bundle from the small demo model, brings an AWS up on this machine, deploys "
        "with the real CDK, invokes the endpoint through boto3 and runs a batch transform job over S3.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep", action="store_true", help="leave the local AWS and its endpoint running")
    console.json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Walks the road; whatever happens, nothing is left running unless it was asked for."""
    from rerank_ops.demo.road import walk

    return walk(keep=args.keep, as_json=args.json)
