"""One model in a process of its own: `python -m rerank_ops.comparison.worker FOLDER`.

A line of JSON in, a line of JSON out. The first line out describes the model; then each list of requests
[[query, [passage, …]], …] is answered with the seconds each took, and `null` with the memory the process has needed.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

Reply = dict[str, Any]


def main(folder: Path) -> None:
    """Serves until stdin ends; what libraries print goes to stderr."""
    reply_to = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def reply(value: Reply) -> None:
        reply_to.write(json.dumps(value) + "\n")

    try:
        started = time.perf_counter()
        from rerank_engine.hosting import read_settings
        from rerank_engine.reranker.engine import Reranker

        reranker = Reranker.load(folder, read_settings(os.environ, folder))
        reply(describe(reranker, folder) | {"load_s": time.perf_counter() - started})
        for line in sys.stdin:
            requests = json.loads(line)
            reply(memory(reranker) if requests is None else timed(reranker, requests))
    except ModuleNotFoundError as error:
        from rerank_ops import installation

        missing = (error.name or str(error)).partition(".")[0]
        reply({"error": f"Python package {missing!r} is not installed.", "tip": installation.tip(missing)})
    except Exception as error:  # told to the parent, which ends the comparison
        reply({"error": f"{type(error).__name__}: {error}", "tip": getattr(error, "tip", None)})


def describe(reranker: Any, folder: Path) -> Reply:
    """What the model is."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {
        "model": reranker.model_name,
        "family": reranker.family,
        "layers": config["num_hidden_layers"],
        "parameters": reranker.parameter_count,
        "window": reranker.max_length,
        "random": reranker.meaningless_scores,
        "device": str(reranker.device),
        "precision": str(reranker.dtype).removeprefix("torch."),
    }


def timed(reranker: Any, requests: list[tuple[str, list[str]]]) -> Reply:
    """Seconds of each request from text to ranking, those all threads computed, and the tokens they came to."""
    seconds, tokens, computed = [], 0, time.process_time()
    for query, passages in requests:
        started = time.perf_counter()
        result = reranker.rerank(query, passages)
        seconds.append(time.perf_counter() - started)
        tokens += result.usage.total_tokens
    return {"seconds": seconds, "tokens": tokens, "cpu_s": time.process_time() - computed}


def memory(reranker: Any) -> Reply:
    """Bytes this process had resident at most, and those of the GPU; None where the system does not tell."""
    gpu = None
    if reranker.device.type == "cuda":
        import torch

        gpu = torch.cuda.max_memory_allocated(reranker.device)
    return {"memory_bytes": peak_memory_bytes(Path("/proc/self/status")), "gpu_memory_bytes": gpu}


def peak_memory_bytes(status: Path) -> int | None:
    """Peak resident memory by Linux's /proc, which starts anew with each program; elsewhere by getrusage.

    getrusage would not do on Linux: there a process inherits the peak of the one that started it.
    """
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
