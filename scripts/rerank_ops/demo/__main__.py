"""`python -m rerank_ops.demo` is `rerank demo`."""

import sys

from rerank_ops.cli import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
