"""The engines that are timed: each takes a query and documents, and gives raw logits in their order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rerank_ops.errors import Refused

ON_CPU = ("ours-fp32", "ours-mixed", "ours-bf16", "ours-int8")
OURS = (*ON_CPU, "ours-cuda")
PEERS = {
    "official-server": "padded fp32 batches of 32 in arrival order, as the published remote code serves them",
    "onnxruntime-fp32": "ONNX Runtime, batches of 64 in arrival order, as fastembed runs it",
    "onnxruntime-int8": "the same graph, dynamically quantised by ONNX Runtime's own tool",
    "cross-encoder": "sentence-transformers' CrossEncoder, fp32, batches of 32 sorted by length",
    "transformers": "transformers' own class, padded fp32 batches of 32 in arrival order",
    "official-server-cuda": "as official-server, on the GPU in bf16",
    "cross-encoder-cuda": "as cross-encoder, on the GPU in bf16",
    "ours-fp32": "this engine, RERANK_PRECISION=fp32",
    "ours-mixed": "this engine, RERANK_PRECISION=mixed: bf16 in feed-forwards, fp32 in attention",
    "ours-bf16": "this engine, RERANK_PRECISION=bf16",
    "ours-int8": "this engine, RERANK_PRECISION=int8",
    "ours-cuda": "this engine on the GPU, RERANK_PRECISION=auto",
}
_FASTEMBED_BATCH = 64


class Peer(Protocol):
    """An engine with a model loaded."""

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """Raw logits, in the order of `documents`."""
        ...


def load(name: str, folder: Path, *, max_length: int, threads: int) -> Peer:
    """The peer called `name`, with the checkpoint in `folder`; 0 threads leaves the peer its own choice.

    Raises:
        ImportError: its packages are not installed.
        Refused, SettingsError: this machine cannot compute in its precision.
    """
    device = "cuda" if name.endswith("-cuda") else "cpu"
    if name.startswith("official-server"):
        return OfficialServer(folder, max_length, threads, device=device)
    if name.startswith("onnxruntime-"):
        return OnnxRuntime(folder, max_length, threads, int8=name.endswith("int8"))
    if name.startswith("cross-encoder"):
        return CrossEncoder(folder, max_length, threads, device=device)
    if name == "transformers":
        return Transformers(folder, max_length, threads)
    if name == "ours-cuda":
        return Ours(folder, max_length, threads, precision="auto", device=device)
    return Ours(folder, max_length, threads, precision=name.removeprefix("ours-"))


def works_with(name: str, family: str) -> bool:
    """Whether a peer can run a model of `family`; the published JinaBERT code does not run on current transformers."""
    if name.endswith("-cuda") and not has_gpu():
        return False
    if name in OURS:
        return True
    return name.startswith(("cross-encoder", "transformers")) != (family == "jina_bert")


def has_gpu() -> bool:
    """Whether there are rows of a GPU to add."""
    import torch

    return torch.cuda.is_available()


class OfficialServer:
    """Tokenises query and documents to measure them, then every pair again; batches as they come."""

    batch = 32

    def __init__(self, folder: Path, max_length: int, threads: int, *, device: str) -> None:
        import torch

        from rerank_ops.bench.padded_jina import PaddedJina

        if threads:
            torch.set_num_threads(threads)
        self.device = device
        self.model = PaddedJina.load(folder).to(device)
        if device == "cuda":
            self.model = self.model.bfloat16()
        self.tokenizer = pair_tokenizer(folder, max_length)
        self.measuring = pair_tokenizer(folder, None)

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """See `Peer`."""
        import torch

        self.measuring.encode(query)
        self.measuring.encode_batch(list(documents))
        logits: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(documents), self.batch):
                encoded = self.tokenizer.encode_batch([(query, text) for text in documents[start : start + self.batch]])
                ids, mask = ([getattr(e, what) for e in encoded] for what in ("ids", "attention_mask"))
                given = torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device)
                logits += self.model(*given).squeeze(-1).tolist()
        return logits


class Transformers:
    """Any other family by transformers' own class: every pair padded to the longest of its batch."""

    batch = 32

    def __init__(self, folder: Path, max_length: int, threads: int) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification

        if threads:
            torch.set_num_threads(threads)
        self.model: Any = AutoModelForSequenceClassification.from_pretrained(str(folder), dtype=torch.float32).eval()
        self.tokenizer = pair_tokenizer(folder, max_length)

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """See `Peer`."""
        import torch

        logits: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(documents), self.batch):
                encoded = self.tokenizer.encode_batch([(query, text) for text in documents[start : start + self.batch]])
                ids, mask = (torch.tensor([getattr(e, what) for e in encoded]) for what in ("ids", "attention_mask"))
                logits += self.model(input_ids=ids, attention_mask=mask).logits.squeeze(-1).tolist()
        return logits


class OnnxRuntime:
    """fastembed's way: pairs tokenised batch by batch, padded to the longest, the session's default options."""

    def __init__(self, folder: Path, max_length: int, threads: int, *, int8: bool) -> None:
        import onnxruntime

        from rerank_ops.bench.onnx_graph import graph_file

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        if threads:
            options.intra_op_num_threads = threads
        path = graph_file(folder, int8=int8)
        self.session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.tokenizer = pair_tokenizer(folder, max_length)

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """See `Peer`."""
        import numpy as np

        logits: list[float] = []
        for start in range(0, len(documents), _FASTEMBED_BATCH):
            pairs = [(query, text) for text in documents[start : start + _FASTEMBED_BATCH]]
            encoded = self.tokenizer.encode_batch(pairs)
            inputs = {
                "input_ids": np.array([e.ids for e in encoded], dtype=np.int64),
                "attention_mask": np.array([e.attention_mask for e in encoded], dtype=np.int64),
            }
            logits += self.session.run(None, inputs)[0].reshape(-1).tolist()
        return logits


class CrossEncoder:
    """sentence-transformers with its defaults: batches of 32, sorted by length in characters."""

    def __init__(self, folder: Path, max_length: int, threads: int, *, device: str) -> None:
        import torch
        from sentence_transformers import CrossEncoder as Library

        if threads:
            torch.set_num_threads(threads)
        self.model: Any = Library(str(folder), max_length=max_length, device=device, activation_fn=torch.nn.Identity())
        if device == "cuda":
            self.model.model.bfloat16()

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """See `Peer`."""
        scores: list[float] = self.model.predict(
            [(query, text) for text in documents], show_progress_bar=False
        ).tolist()
        return scores


class Ours:
    """This engine, text in, scores out."""

    def __init__(self, folder: Path, max_length: int, threads: int, *, precision: str, device: str = "cpu") -> None:
        from rerank_engine.reranker.engine import Reranker
        from rerank_engine.settings import Settings
        from rerank_engine.types import RerankOptions

        settings = Settings(precision=precision, threads=threads, max_length=max_length, device=device)
        self.reranker = Reranker.load(folder, settings)
        if precision not in ("auto", self.reranker.precision):
            instead = self.reranker.precision
            raise Refused(f"this machine has no products in {precision}: the engine would run in {instead} instead")
        self.options = RerankOptions(max_chunks_per_document=1)  # cut, as the others do

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """See `Peer`."""
        ranked = self.reranker.rerank(query, documents, self.options).results
        return [result.logit for result in sorted(ranked, key=lambda result: result.index)]


def pair_tokenizer(folder: Path, max_length: int | None) -> Any:
    """The checkpoint's tokenizer, padding to the longest; with `max_length`, cutting the document of a pair to it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if max_length is not None:
        tokenizer.enable_truncation(max_length, strategy="only_second")
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("<pad>") or 0, pad_token="<pad>")  # noqa: S106 - of text
    return tokenizer
