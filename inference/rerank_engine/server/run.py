"""Start, serve, drain: the process around the application.

The order is made for a short cold start: the port is bound first (connections queue from then on), torch is imported
and the model loaded on a thread, uvicorn is imported meanwhile. SIGTERM closes the port, waits for what was accepted
and exits with 0; SageMaker kills after 30 s.
"""

import asyncio
import contextlib
import math
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rerank_engine.errors import RerankError, SettingsError
from rerank_engine.hosting import Hosting, read_settings
from rerank_engine.reranker.heap import steady_heap
from rerank_engine.server.app import App
from rerank_engine.server.life import Life, Load, loader
from rerank_engine.server.watchdog import Watchdog
from rerank_engine.settings import Settings
from rerank_engine.telemetry import logs
from rerank_engine.telemetry.telemetry import Telemetry

_BACKLOG = 2048
_LINGER_S = 0.5  # after SIGTERM, when busy: callers on open connections are told to close them, not cut off
_LAST_WORDS_S = 2.0  # before the end of the drain: time to send a 503 to whoever still waits
_KEEP_ALIVE_S = 75  # longer than SageMaker's 60 s, so that its router closes idle connections, not we


def main(arguments: Sequence[str], env: Mapping[str, str] = os.environ, *, load: Load | None = None) -> int:
    """Run the server until SIGTERM; the process's exit code.

    The single argument `serve`, which SageMaker passes to every container, is accepted and changes nothing. `load`
    makes another engine than the one of the model's folder.
    """
    try:
        if list(arguments) not in ([], ["serve"]):
            raise SettingsError(f"Unknown arguments {list(arguments)}.", tip="Settings come from RERANK_* variables.")
        hosting = Hosting.from_env(env)
        settings = read_settings(env, hosting.model_dir(Settings.from_env(env)))
        return _run(settings, hosting, load or loader(hosting, settings))
    except RerankError as error:
        return _told(error)


def _told(error: RerankError) -> int:
    print(f"ERROR {error.message}" + (f"\nTIP {error.tip}" if error.tip else ""), file=sys.stderr, flush=True)
    return 1


def _run(settings: Settings, hosting: Hosting, load: Load) -> int:
    steady_heap()
    listening = listen(settings.bind_host, hosting.port)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # until the event loop takes over: there is nothing to drain
    listener = logs.configure(settings.log_level)
    telemetry = Telemetry(settings)
    life = Life(settings, hosting, load, observe=telemetry.passed)
    life.start()
    logs.event("listening", {"host": settings.bind_host, "port": listening.getsockname()[1]})
    try:
        app = App(life, telemetry)
        asyncio.run(_serve(_uvicorn(app, settings), app, listening))
        ended = life.end()
        telemetry.close()
        logs.event("stopped", {"drained": ended})
    finally:
        listener.stop()
    code = 0 if life.failure is None else _told(life.failure)
    if not ended:  # a thread is still importing torch or computing: the interpreter would crash or wait for it
        sys.stdout.flush()
        os._exit(code)
    return code


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SettingsError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off only where it is.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as error:  # OverflowError: the port is not from 0 to 65535
        listening.close()
        tip = "Set SAGEMAKER_BIND_TO_PORT or RERANK_BIND_HOST."
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"Cannot listen on {host} port {port}: {reason}.", tip=tip) from error
    return listening


def _uvicorn(app: App, settings: Settings) -> Any:
    try:
        import uvicorn
    except ImportError as error:
        raise SettingsError("uvicorn is not installed.", tip="pip install uvicorn httptools.") from error
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )
    server = uvicorn.Server(config)
    # uvicorn raises a caught SIGTERM again once it has shut down, and the exit code would be -15, a crash to SageMaker.
    server.capture_signals = contextlib.nullcontext
    return server


async def _serve(server: Any, app: App, listening: socket.socket) -> None:
    """Serve until SIGTERM, or until the model fails.

    On SIGTERM requests that come are refused with 503 and a closed connection; for a moment the port stays open for
    them, if there were any. What was accepted is computed. What is not done shortly before the end gets a 503, too.
    """
    loop = asyncio.get_running_loop()
    life = app.life

    def stop() -> None:
        server.should_exit = True

    def drain() -> None:
        if life.draining:
            return
        logs.event("draining", {"inflight": app.inflight})
        life.draining = True
        loop.call_later(_LINGER_S if app.inflight else 0.0, stop)
        loop.call_later(max(0.0, life.settings.drain_seconds - _LAST_WORDS_S), life.abandon)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)

    def stop_from_afar() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop)

    life.on_failure = stop_from_afar
    if life.failure is None:
        watching = loop.create_task(Watchdog(life, stop, app.telemetry.due).watch())
        await server.serve(sockets=[listening])
        watching.cancel()
