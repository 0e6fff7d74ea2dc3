"""The reranker: text in, ranking out. Everything that scores goes through it.

    reranker = Reranker.load(Path("model"))
    best = reranker.rerank("What is a production variant?", ["A variant is …", "Bananas are …"]).results[0]

`rerank` is three verbs, which a scheduler calls one by one to mix many callers' pairs in one forward pass:
*prepare* (tokenise and cut), *forward* (plan batches and score), *finish* (rank).
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch

from rerank_engine.errors import CheckpointError, InvalidRequest, SettingsError
from rerank_engine.hosting import read_settings
from rerank_engine.models import CrossEncoder, load_model
from rerank_engine.models.checkpoint import Checkpoint, read_checkpoint
from rerank_engine.models.prepack import prepack
from rerank_engine.models.products import Bf16Product, Int8Product
from rerank_engine.reranker.canary import FIXED_PAIR, check_logit
from rerank_engine.reranker.devices import choose_device, choose_dtype, precision_name
from rerank_engine.reranker.forward import run_passes
from rerank_engine.reranker.heap import give_back
from rerank_engine.reranker.limits import check_request, empty_query
from rerank_engine.reranker.preparing import prepare
from rerank_engine.reranker.ranking import rank
from rerank_engine.reranker.tokens import PairTokenizer
from rerank_engine.settings import Settings
from rerank_engine.types import EMPTY_LOGIT, Prepared, RerankOptions, RerankResult, Timings

_DEFAULTS = RerankOptions()
_ONE_CHUNK = RerankOptions(max_chunks_per_document=1)


class Reranker:
    """A loaded cross-encoder. `forward` belongs to one thread at a time; the rest may be called from any.

    Attributes:
        model_name: name of the model, for answers.
        family: its model family.
        max_length: tokens of the longest pair; documents are cut to fit.
        device: where it runs.
        dtype: precision of what lies between its matrix products, and of these unless `precision` is int8 or mixed.
        precision: arithmetic of its matrix products: fp32, mixed (bf16 in feed-forwards, fp32 in attention), bf16, fp16
            or int8 (fp64 where a test asks for it).
        settings: how it was set.
        canary: the pair with a known logit; None when the model folder names none.
        meaningless_scores: whether the weights are random, and config.json says so (`rerank_demo`); the demo
            that comes with the kit is trained.
        parameter_count: how many weights it has.
        calibration: what turns logits into probabilities; None when the bundle has none.
    """

    def __init__(
        self, model: CrossEncoder, tokenizer: PairTokenizer, checkpoint: Checkpoint, settings: Settings
    ) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        self.family = model.family
        self.model_name, self.canary = checkpoint.name, checkpoint.canary
        self.meaningless_scores = checkpoint.meaningless_scores
        self.calibration = checkpoint.calibration
        weights = list(model.parameters())
        largest = max(weights, key=torch.Tensor.numel)  # a matrix: norms and heads may be kept in a wider precision
        self.device, self.dtype = largest.device, largest.dtype
        self.precision = precision_name(self.dtype)
        self.parameter_count = sum(weight.numel() for weight in weights)
        self.max_length = _window(model, tokenizer, checkpoint, settings)

    @classmethod
    def load(cls, model_dir: Path, settings: Settings | None = None) -> Self:
        """The model in `model_dir`; without `settings`, with those its bundle was packaged with.

        Raises:
            CheckpointError: the folder does not hold a complete checkpoint of a known family.
            SettingsError: a setting is wrong, or wrong for this machine.
        """
        model_dir = Path(model_dir)
        settings = read_settings({}, model_dir) if settings is None else settings
        device = choose_device(settings)
        dtype = choose_dtype(settings, device)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        checkpoint = read_checkpoint(model_dir)
        tokenizer = PairTokenizer.from_dir(model_dir)
        model = load_model(model_dir, device=device, dtype=dtype)
        model.separator_id = tokenizer.template.separator_id
        reranker = cls(model, tokenizer, checkpoint, settings)
        # Last: a packed model no longer tells its parameters.
        lower = {"int8": Int8Product, "mixed": Bf16Product}
        made = prepack(model, int8=settings.precision == "int8", mixed=settings.precision == "mixed")
        if made is not None and made is lower.get(settings.precision):
            reranker.precision = settings.precision
        return reranker

    def rerank(
        self, query: str, documents: Sequence[str], options: RerankOptions = _DEFAULTS, *, top_n: int | None = None
    ) -> RerankResult:
        """Score `documents` against `query`; results best first, ties in the given order.

        `top_n` stands for `RerankOptions(top_n=…)` and overrides it.

        Raises:
            InvalidRequest: no documents, a wrong option, or a text that does not fit and must not be cut.
            OutOfMemory: not even a single pair fits the device.
            NotFinite: the model produced NaN or infinity.
        """
        prepared = self.prepare(query, documents, options if top_n is None else replace(options, top_n=top_n))
        started = time.perf_counter()
        logits = self.forward([pair.ids for pair in prepared.pairs])
        timings = Timings(tokenize_s=prepared.tokenize_s, forward_s=time.perf_counter() - started)
        return self.finish(prepared, logits, timings)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Raw logits of (query, document) pairs, in order; texts that do not fit are cut, never split into chunks.

        A document without tokens has EMPTY_LOGIT, below every logit of a model, as in `rerank`.

        Raises:
            OutOfMemory, NotFinite: as `rerank`.
        """
        documents_of: dict[str, list[str]] = {}
        for query, document in pairs:
            documents_of.setdefault(query, []).append(document)
        ids_of: dict[tuple[str, str], Sequence[int]] = {}
        empty: set[tuple[str, str]] = set()
        for query, documents in documents_of.items():
            prepared = self._prepare(query, documents, _ONE_CHUNK)
            for document, read in zip(documents, prepared.documents, strict=True):
                ids_of[query, document] = prepared.pairs[read.pairs[0]].ids
                if not read.tokens:
                    empty.add((query, document))
        logits = self.forward([ids_of[pair] for pair in pairs])
        return [EMPTY_LOGIT if pair in empty else logit for pair, logit in zip(pairs, logits, strict=True)]

    def prepare(self, query: str, documents: Sequence[str], options: RerankOptions = _DEFAULTS) -> Prepared:
        """Check, tokenise and cut a request: the query once, documents of equal tokens once.

        Raises:
            InvalidRequest: as `rerank`.
        """
        check_request(
            query,
            documents,
            options,
            max_documents=self.settings.max_documents,
            calibrated=self.calibration is not None,
        )
        prepared = self._prepare(query, documents, options)
        if not prepared.query_tokens:
            fault = empty_query(query)
            raise InvalidRequest(f"Invalid request: query {fault.message}.", fields=(fault,))
        return prepared

    def forward(self, token_id_lists: Sequence[Sequence[int]], /) -> list[float]:
        """One logit per pair, in order; the pairs may be those of several requests.

        Raises:
            OutOfMemory, NotFinite: as `rerank`.
        """
        logits = run_passes(
            self.model,
            token_id_lists,
            device=self.device,
            token_budget=self.settings.token_budget,
            max_sequences=self.settings.max_batch_pairs,
        )
        give_back()
        return logits

    def finish(self, prepared: Prepared, logits: Sequence[float], timings: Timings) -> RerankResult:
        """Rank a prepared request by its logits, one per pair."""
        return rank(prepared, logits, timings, self.calibration)

    def check_canary(self) -> float:
        """Score the canary pair, or a fixed one where the model folder names none; its logit.

        Raises:
            CheckpointError: the logit is not the one the manifest names.
            NotFinite: it is not even a number.
        """
        canary = self.canary
        [logit] = self.score([FIXED_PAIR if canary is None else (canary.query, canary.document)])
        if canary is not None:
            check_logit(canary, logit, self.precision)
        return logit

    def _prepare(self, query: str, documents: Sequence[str], options: RerankOptions) -> Prepared:
        return prepare(self.tokenizer, query, documents, options, max_length=self.max_length, settings=self.settings)


def _window(model: CrossEncoder, tokenizer: PairTokenizer, checkpoint: Checkpoint, settings: Settings) -> int:
    """Tokens of the longest pair: the setting, else the manifest's, else the model's own."""
    if tokenizer.vocab_size > model.vocab_size:
        raise CheckpointError(
            f"tokenizer.json has {tokenizer.vocab_size} tokens, the model's embedding {model.vocab_size} rows: "
            "they are not of the same checkpoint."
        )
    window = settings.max_length or checkpoint.max_length or model.window
    if model.max_positions is not None and window > model.max_positions:
        raise SettingsError(f"RERANK_MAX_LENGTH is {window}, but this model has {model.max_positions} positions.")
    least = tokenizer.template.special_tokens + 2
    if window < least:
        raise SettingsError(f"RERANK_MAX_LENGTH is {window}. A pair takes at least {least} tokens.")
    return window
