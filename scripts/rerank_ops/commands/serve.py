"""rerank serve: the endpoint's own server on this machine, without any AWS."""

import argparse
from typing import Any

EPILOG = """\
examples:
  rerank serve demo                        the small demo model: to see the wire format
  rerank serve dist/model.tar.gz           the very code that would be deployed
  rerank serve ./checkpoint --port 9000    a checkpoint folder, with this kit's code
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the endpoint's server on this machine",
        description="Serves a model on 127.0.0.1: /ping, /invocations, /execution-parameters, /metrics. "
        "RERANK_* settings are taken from the environment.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a model.tar.gz, a checkpoint folder, or the word demo")
    parser.add_argument("--port", type=port, default=8080, help="port on 127.0.0.1, 0 for a free one (default: 8080)")


def run(args: argparse.Namespace) -> int:
    """Serves until it is interrupted; the server's exit code."""
    from rerank_ops.serving import serve

    return serve(args.model, port=args.port)


def port(text: str) -> int:
    """A TCP port; argparse shows the error with the usage."""
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a whole number from 0 to 65535")
    return int(text)
