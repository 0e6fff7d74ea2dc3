"""One engine in a process of its own: `python -m rerank_ops.bench.contestant NAME FOLDER MAX_LENGTH THREADS`.

stdin: a line [query, documents] per request, or null to ask for the peak memory.
stdout: {"ready": seconds of loading}, then {"logits", "seconds", "cpu_s"} per request or {"peak_bytes"}. What the
engine cannot do on this machine is {"error": why}, and ends the process.
"""

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from rerank_ops.bench import peers

_KIB = 1024  # Linux counts the peak in KiB, macOS in bytes


def main(argv: Sequence[str]) -> int:
    """Answer requests until stdin ends."""
    warnings.simplefilter("ignore")
    name, folder, max_length, threads = argv
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to stderr
    if name in peers.OURS:
        # Only here: its package sets up PyTorch's threads, too, which is not for others.
        from rerank_engine.reranker.heap import steady_heap

        steady_heap()
    started = time.perf_counter()
    try:
        peer = peers.load(name, Path(folder), max_length=int(max_length), threads=int(threads))
    except ImportError as error:
        print(json.dumps({"error": f"{error.name or error} is not installed"}), file=out)
        return 0
    except Exception as error:  # the parent shows the reason in the engine's row
        print(json.dumps({"error": reason(error)}), file=out)
        return 0
    print(json.dumps({"ready": time.perf_counter() - started}), file=out)
    for line in sys.stdin:
        request = json.loads(line)
        if request is None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else _KIB)
            print(json.dumps({"peak_bytes": peak}), file=out)
            continue
        query, documents = request
        began, cpu = time.perf_counter(), time.process_time()
        try:
            logits = peer.score(query, documents)
        except Exception as error:
            print(json.dumps({"error": reason(error)}), file=out)
            return 0
        took = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
        print(json.dumps({"logits": logits, **took}), file=out)
    return 0


def reason(error: Exception) -> str:
    """An engine's error in one line: the kind, unless it is one of the kit's own, and what it says."""
    said = (str(error).strip() or "no reason given").splitlines()[0]
    return said if type(error).__module__.startswith("rerank_") else f"{type(error).__name__}: {said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
