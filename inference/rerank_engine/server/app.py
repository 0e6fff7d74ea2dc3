"""Our server as an ASGI application: SageMaker's paths, and those of the rerank APIs that it speaks.

The event loop moves bytes: JSON and tokens are worked on in a small pool of threads and the model on its own, so that
/ping answers in time whatever is being computed. Only what takes a millisecond or two is done in place.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rerank_engine.dialects import expected_at
from rerank_engine.errors import DeadlineExceeded, Overloaded, RequestTimeout
from rerank_engine.server.callers import Callers
from rerank_engine.server.http import Call, ClientGone, MethodNotAllowed, NotFound, Receive, Scope, Send, send_reply
from rerank_engine.server.life import Life
from rerank_engine.server.openapi import document
from rerank_engine.service.attributes import CUSTOM_ATTRIBUTES, caller_of, echoable
from rerank_engine.service.exchange import Exchange, HttpReply, new_request_id
from rerank_engine.service.scheduler import Job, Scheduler
from rerank_engine.service.scoring import Outcome, as_rerank_error
from rerank_engine.service.service import Service
from rerank_engine.telemetry.metrics import CONTENT_TYPE, resident_bytes
from rerank_engine.telemetry.telemetry import Telemetry

T = TypeVar("T")
Route = Callable[["App", Call], Awaitable[HttpReply]]
_READERS = 4
_IN_PLACE_BYTES = 16_384  # a body up to here is read, tokenised and answered faster than a thread is woken twice
_MOST_TRANSFORMS = 8


class App:
    """The ASGI application.

    Args:
        life: the model's life; requests before it is ready are answered 503.
        telemetry: where requests are counted.
    """

    def __init__(self, life: Life, telemetry: Telemetry) -> None:
        self.life = life
        self.telemetry = telemetry
        self.inflight = 0
        self.callers = Callers(life.settings)
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="rerank-read")
        telemetry.gauge("rerank_ready", "1 when /ping answers 200.", lambda: float(life.trouble() is None))
        telemetry.gauge("rerank_inflight_requests", "Requests accepted and not answered.", lambda: self.inflight)
        telemetry.gauge("rerank_queued_requests", "Requests whose pairs wait for the model.", lambda: life.waiting)
        telemetry.gauge("rerank_pass_seconds", "Age of the forward pass under way; 0 between two.", lambda: life.pass_s)
        telemetry.gauge("rerank_cached_pairs", "Pairs whose scores are remembered.", lambda: life.cached)
        telemetry.gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request (ASGI)."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served")
        call = Call(scope, receive)
        try:
            reply = await self._route(call)
        except ClientGone:
            self.telemetry.requests.add(path=call.path, status="499")
            return
        close = self.life.draining or reply.status == 408  # whoever sends too slowly may begin anew
        await send_reply(send, reply, head=call.method == "HEAD", close=close)

    async def _route(self, call: Call) -> HttpReply:
        routes = ROUTES.get(call.path)
        if routes is None:
            return _refusal(call, NotFound(f"There is no {call.path[:100]!r} here.", tip=f"Try {', '.join(ROUTES)}."))
        route = routes.get("GET" if call.method == "HEAD" else call.method)
        if route is None:
            allowed = ", ".join([*routes, "HEAD"] if "GET" in routes else routes)
            refusal = _refusal(call, MethodNotAllowed(f"{call.path} takes {allowed}, not {call.method[:20]}."))
            return HttpReply(405, headers={**refusal.headers, "Allow": allowed}, body=refusal.body)
        return await route(self, call)

    async def ping(self, call: Call) -> HttpReply:
        """Health: 200 without a body, or 503 with the reason."""
        trouble = self.life.trouble()
        return HttpReply(200) if trouble is None else HttpReply(503, body=json.dumps({"status": trouble}).encode())

    async def execution_parameters(self, call: Call) -> HttpReply:
        """What batch transform should do when the job does not say."""
        megabytes = self.life.hosting.max_payload_mb or 6
        parameters = {
            "MaxConcurrentTransforms": max(1, min(os.cpu_count() or 1, _MOST_TRANSFORMS, 100 // megabytes)),
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": megabytes,
        }
        return HttpReply(200, body=json.dumps(parameters).encode())

    async def metrics(self, call: Call) -> HttpReply:
        """Prometheus' page."""
        return HttpReply(200, CONTENT_TYPE, body=self.telemetry.page())

    async def openapi(self, call: Call) -> HttpReply:
        """What this server takes and answers, as an OpenAPI document."""
        return HttpReply(200, body=json.dumps(document(RERANK_PATHS)).encode())

    async def rerank(self, call: Call) -> HttpReply:
        """Score a request: read it, tokenise, wait for the model, render."""
        started = time.perf_counter()
        exchange = _exchange(call)
        body = b""
        caller = caller_of(exchange.attributes)
        self.inflight += 1
        self.callers.came(caller)
        try:
            service, scheduler = self.life.serving()
            self.telemetry.loaded(service.engine.model_name)
            self.callers.check(caller)
            if self.inflight > self.life.settings.max_queued_requests:
                raise Overloaded(f"{self.inflight - 1} requests are waiting.", tip="Try again, or add instances.")
            async with asyncio.timeout(service.deadline_s):
                body = await call.body(service.max_body_bytes)
                exchange, job = await self._off_loop(body, lambda: self._open(service, scheduler, call, body))
                if job is not None:
                    exchange.outcome = await _outcome(job, call)
            reply = await self._off_loop(body, lambda: service.close(exchange))
        except ClientGone:
            raise
        except TimeoutError:
            exchange.failure = _late(call, service.deadline_s)
            reply = exchange.error_reply(exchange.failure)
        except Exception as error:
            exchange.failure = as_rerank_error(error)
            reply = exchange.error_reply(exchange.failure)
        finally:
            self.inflight -= 1
            self.callers.went(caller)
        seconds = time.perf_counter() - started
        asyncio.get_running_loop().call_soon(  # that is, after the answer was sent
            self.telemetry.answered, call.path, exchange, reply, len(body), seconds, call.headers
        )
        return reply

    def _open(self, service: Service, scheduler: Scheduler, call: Call, body: bytes) -> tuple[Exchange, Job | None]:
        headers = call.headers
        exchange = service.open(
            body,
            headers.get("content-type"),
            headers.get("accept"),
            headers.get(CUSTOM_ATTRIBUTES.lower()),
            call.path,
        )
        if exchange.failure is not None or not exchange.pairs:
            return exchange, None
        try:
            return exchange, scheduler.submit(exchange.pairs, deadline_s=service.deadline_s)
        except Exception as error:
            exchange.failure = as_rerank_error(error)
            return exchange, None

    async def _off_loop(self, body: bytes, work: Callable[[], T]) -> T:
        if len(body) <= _IN_PLACE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


async def _outcome(job: Job, call: Call) -> Outcome:
    """The job's outcome, unless the caller goes first: then what is left of it is dropped."""
    scored = asyncio.wrap_future(job.future)
    gone = asyncio.ensure_future(call.disconnected())
    either: set[asyncio.Future[Any]] = {scored, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not scored.done():
            raise ClientGone
        return scored.result()
    finally:
        gone.cancel()
        job.future.cancel()
        if not scored.cancel() and not scored.cancelled():
            scored.exception()  # looked at: asyncio would log one that came in the moment when time was up


def _late(call: Call, deadline_s: float) -> RequestTimeout | DeadlineExceeded:
    """Whose fault it is that time is up: the caller's while its body has not arrived, ours from then on."""
    if not call.arrived:
        return RequestTimeout(f"The body did not arrive in {deadline_s:g} s.", tip="Send it in one go, or less of it.")
    return DeadlineExceeded(f"The request was not answered in {deadline_s:g} s.")


def _exchange(call: Call) -> Exchange:
    attributes = echoable(call.headers.get(CUSTOM_ATTRIBUTES.lower()))
    return Exchange(new_request_id(), attributes=attributes, fallback=expected_at(call.path))


def _refusal(call: Call, error: NotFound | MethodNotAllowed) -> HttpReply:
    return _exchange(call).error_reply(error)


RERANK_PATHS = ("/invocations", "/v1/rerank", "/v2/rerank", "/rerank", "/score", "/v1/score")
ROUTES: dict[str, dict[str, Route]] = {
    "/ping": {"GET": App.ping},
    **{path: {"POST": App.rerank} for path in RERANK_PATHS},
    "/execution-parameters": {"GET": App.execution_parameters},
    "/metrics": {"GET": App.metrics},
    "/openapi.json": {"GET": App.openapi},
}
