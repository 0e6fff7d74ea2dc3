"""AWS's Hugging Face inference container, served: what `inference.py` hands to its toolkit.

The toolkit (sagemaker-huggingface-inference-toolkit 2.6.0 on multi-model-server) turns every exception into HTTP 400
and answers /ping with 200 even when no model could be loaded. So nothing here raises: a model that fails to load is
remembered and answers 503 with the reason, instead of being loaded anew; a status goes out through the context.

One limit remains: the toolkit labels each answer with the caller's Accept header, word for word, whatever is returned.
"""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rerank_engine.dialects import guess, said
from rerank_engine.errors import NotReady, RerankError
from rerank_engine.hosting import Hosting, read_settings
from rerank_engine.reranker.heap import steady_heap
from rerank_engine.reranker.integrity import check_bundle
from rerank_engine.service.attributes import CUSTOM_ATTRIBUTES, echoable
from rerank_engine.service.exchange import Exchange, new_request_id
from rerank_engine.service.scoring import DirectScorer
from rerank_engine.service.service import Service
from rerank_engine.settings import Settings
from rerank_engine.telemetry import logs
from rerank_engine.telemetry.telemetry import Telemetry

_log = logging.getLogger("rerank")


class Handler:
    """A service, or the reason why there is none; `telemetry` counts and logs what it answers."""

    def __init__(
        self, service: Service | None, failure: RerankError | None = None, telemetry: Telemetry | None = None
    ) -> None:
        self.service = service
        self.failure = failure
        self.telemetry = telemetry or Telemetry()

    def answer(
        self, data: bytes | bytearray | str | None, content_type: str | None, accept: str | None, context: Any = None
    ) -> str:
        """The body of the answer; its status and headers go into the toolkit's request context.

        `data` is text for exactly application/json, a bytearray otherwise, and None for form data.
        """
        started = time.perf_counter()
        attributes = header(context, CUSTOM_ATTRIBUTES)
        if self.service is not None:
            exchange, reply = self.service.run(data or b"", content_type, accept, attributes)
        else:
            failure = self.failure or NotReady("The model is not loaded.")
            exchange = Exchange(new_request_id(), attributes=echoable(attributes), fallback=guess(data or b""))
            exchange.failure = failure
            reply = exchange.error_reply(failure)
        if context is not None:
            context.set_response_status(code=reply.status, phrase=reply.phrase, idx=0)
            for name, value in reply.headers.items():
                context.set_response_header(0, name, value)
        self.telemetry.answered(
            "/invocations", exchange, reply, len(data or b""), time.perf_counter() - started, headers_of(context)
        )
        return reply.body.decode()


def load(model_dir: str, env: Mapping[str, str] = os.environ) -> Handler:
    """The model of a folder, ready to answer, or a handler that says why it is not."""
    try:
        from rerank_engine.reranker.engine import Reranker

        hosting = Hosting.from_env(env)
        settings = share_cores(read_settings(env, Path(model_dir)), hosting, os.cpu_count() or 1)
        if settings.verify_bundle:
            check_bundle(Path(model_dir))
        reranker = Reranker.load(Path(model_dir), settings)
        reranker.check_canary()
        if "SAGEMAKER_PROGRAM" in env:  # behind AWS's toolkit, in a process of our own
            logs.configure(settings.log_level, logs.container_stdout())
            steady_heap()
        telemetry = Telemetry(settings, emf_every_s=0.0)
        telemetry.loaded(reranker.model_name)
        scorer = DirectScorer(reranker, settings)
        scorer.observe = telemetry.passed
        return Handler(Service(reranker, settings, hosting=hosting, scorer=scorer), telemetry=telemetry)
    except Exception as error:
        reason = said(error) if isinstance(error, RerankError) else f"{type(error).__name__}: {error}"
        _log.error("the model failed to load", exc_info=error)
        return Handler(None, NotReady(f"The model failed to load: {reason}"))


def share_cores(settings: Settings, hosting: Hosting, cores: int) -> Settings:
    """Settings for one of several processes on the same cores.

    The toolkit starts a process, with a model of its own, per GPU, or per CPU core where there is no GPU; if each of
    them computed on every core they would fight. SAGEMAKER_MODEL_SERVER_WORKERS=1 gives one process all of them.
    """
    if settings.threads:
        return settings
    return replace(settings, threads=max(1, cores // (hosting.workers or cores)))


def header(context: Any, name: str) -> str | None:
    """A request header whatever its case; the toolkit's own lookup is case-sensitive."""
    return headers_of(context).get(name.lower())


def headers_of(context: Any) -> Mapping[str, str]:
    """The request's headers, their names in lower case."""
    found = {} if context is None else context.get_all_request_header(0) or {}
    return {name.lower(): value for name, value in found.items()}
