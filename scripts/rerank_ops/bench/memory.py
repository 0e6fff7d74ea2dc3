"""Memory of a forward pass on this machine's processor, beside what it cannot do without (Linux).

    python -m rerank_ops.bench.memory [--model FOLDER | --shape tiny] [--precision fp32,bf16] [--length 128,1024]

A pass of one token budget must hold the weights and, for every token, its state, query, key, value and what it attended
to: five times the width. `peak` is the anonymous memory of a process of its own, sampled every 2 ms while it loads the
model and scores two budgets, over what it had when PyTorch was imported: tokenizer, compiled kernels and the rest of
Python count.
"""

import argparse
import json
import multiprocessing
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rerank_ops.comparison.random_checkpoint import make_random_checkpoint
from rerank_ops.comparison.sample import text
from rerank_ops.comparison.shapes import SHAPES

_TARGET = 1.3
_PASSES = 2
_SAMPLED_EVERY_S = 0.002
_MIB = 2**20


def measure(folder: Path, precision: str, length: int) -> dict[str, float]:
    """MiB of `weights`, `states` and `peak`, and the last over the others' sum; pairs have `length` tokens."""
    from rerank_engine.reranker.heap import steady_heap

    steady_heap()
    import torch

    from rerank_engine.reranker.engine import Reranker
    from rerank_engine.settings import Settings

    before = _anonymous()
    with _watched() as highest:
        reranker = Reranker.load(folder, Settings.from_env({"RERANK_PRECISION": precision, "RERANK_DEVICE": "cpu"}))
        tokens = reranker.settings.token_budget // length * length
        for _ in range(_PASSES):
            # Pairs that differ: equal ones would be scored once.
            reranker.forward([[5 + n // 64, 5 + n % 64, *[5] * (length - 2)] for n in range(tokens // length)])
    width = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    bytes_each = torch.finfo(reranker.dtype).bits // 8
    weights, states = (n * bytes_each / _MIB for n in (reranker.parameter_count, 5 * tokens * width))
    peak = (max(highest) - before) / _MIB
    return {"weights": weights, "states": states, "peak": peak, "ratio": peak / (weights + states)}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m rerank_ops.bench.memory", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="a checkpoint; default: random weights of --shape")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="tiny", help="default: %(default)s")
    parser.add_argument("--precision", default="fp32,bf16", help="default: %(default)s")
    parser.add_argument("--length", default="128,1024", help="tokens of a pair (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="write JSON to stdout")
    args = parser.parse_args(argv)
    rows = []
    with TemporaryDirectory(prefix="rerank-bench-") as temporary:
        folder = args.model or make_random_checkpoint(Path(temporary) / "m", args.shape, SHAPES[args.shape], text())
        for precision in args.precision.split(","):
            for length in map(int, args.length.split(",")):
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    found = process.apply(measure, (folder, precision, length))
                rows.append({"precision": precision, "length": length, **found})
    if args.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
        return 0
    print(f"MiB; target: a ratio of at most {_TARGET:g}")
    print(f"{'precision':12}{'tokens a pair':>14}{'weights':>10}{'states':>10}{'peak':>10}{'ratio':>8}")
    for row in rows:
        sizes = "".join(f"{row[name]:>10.0f}" for name in ("weights", "states", "peak"))
        print(f"{row['precision']:12}{row['length']:>14}{sizes}{row['ratio']:>8.2f}")
    return 0


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Samples of this process's memory, bytes, until the block ends."""
    samples, stop = [_anonymous()], threading.Event()

    def watch() -> None:
        while not stop.wait(_SAMPLED_EVERY_S):
            samples.append(_anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        stop.set()
        watcher.join()


def _anonymous() -> int:
    """Bytes of memory that no file stands behind: heap and stacks, not the code of libraries."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status has no RssAnon: this needs Linux.")


if __name__ == "__main__":
    sys.exit(main())
