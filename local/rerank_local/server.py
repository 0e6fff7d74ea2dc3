"""The local AWS in one process: `python -m rerank_local.server --port 4510 --home .rerank/local`.

Listens on 127.0.0.1 only. Ends on SIGTERM or SIGINT, and stops every model process before it goes.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rerank_local import identity, refusal
from rerank_local.control import install, loopback, sagemaker_api
from rerank_local.data.endpoints.fleet import EndpointFleet
from rerank_local.data.s3 import fetcher
from rerank_local.data.transform.jobs import TransformJobs
from rerank_local.data.values import JobView
from rerank_local.router import Router
from rerank_local.state import ACCOUNT, Home, LocalAws

HOST = "127.0.0.1"
EXIT_PORT_TAKEN = 98

log = logging.getLogger("rerank_local")


class LocalServer:
    """Control and data plane behind one port. One per process: moto's state is the process's own.

    Args:
        home: where logs and state go.
        port: to listen on; 0 lets the system choose (tests).
        region: default region of its clients.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, home: Home, port: int, region: str = "us-east-1") -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        class Handler(MotoRequestHandler):  # type: ignore[misc]
            protocol_version = "HTTP/1.1"  # keeps connections open
            disable_nagle_algorithm = True

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                log.debug('"%s" %s %s', self.requestline, code, size)

        install()
        identity.install()
        self.home, self.region = home, region
        home.logs.mkdir(parents=True, exist_ok=True)
        router = Router(self, DomainDispatcherApplication(create_backend_app))
        self._server = make_server(HOST, port, router, threaded=True, request_handler=Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://{HOST}:{self.port}"
        self.key_id = identity.key_id(home.folder)
        loopback.serve_at(self.url, self.key_id)
        fetch = fetcher(lambda: loopback.client("s3", region))
        self.fleet = EndpointFleet(fetch, home.logs, account_id=ACCOUNT, region=region)
        self._jobs: dict[str, JobView] = {}
        self.jobs = TransformJobs(fetch, lambda: loopback.client("s3", region), home.logs, on_change=self._job_changed)
        sagemaker_api.attach(self.fleet, self.jobs)

    def serve(self) -> None:
        """Answers requests until `shutdown`; then stops every process."""
        try:
            self._server.serve_forever(poll_interval=0.1)
        finally:
            self.reset()
            self._server.server_close()
            sagemaker_api.attach(None, None)
            loopback.serve_at(None)

    def shutdown(self) -> None:
        """Makes `serve` return; from any other thread."""
        self._server.shutdown()

    def describe(self) -> LocalAws:
        """How to reach this server."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        return LocalAws(os.getpid(), self.port, self.url, started, self.region, self.home.folder)

    def health(self) -> dict[str, Any]:
        """Who we are."""
        return {"pid": os.getpid(), "home": str(self.home.folder)}

    def status(self) -> dict[str, Any]:
        """Endpoints with their processes, and transform jobs."""
        views = [view for name in self.fleet.names() if (view := self.fleet.describe(name)) is not None]
        return {
            **self.health(),
            "endpoint_url": self.url,
            "region": self.region,
            "endpoints": [asdict(view) for view in views],
            "transform_jobs": [asdict(view) for view in self._jobs.values()],
        }

    def stranger(self, key: str) -> str | None:
        """Why a request signed with this access key id is not for us; None when it is."""
        if key == self.key_id or identity.issued_here(key):
            return None
        return refusal.message(key, self.home.folder, self.url)

    def reset(self) -> None:
        """Stops every endpoint and job."""
        self.jobs.stop_all()
        self.fleet.stop_all()
        self._jobs.clear()
        sagemaker_api.attach(self.fleet, self.jobs)  # forgets the records of jobs

    def _job_changed(self, view: JobView) -> None:
        self._jobs[view.name] = view
        sagemaker_api.job_changed(view)


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until told to stop; 98 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m rerank_local.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--region", default="us-east-1")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("botocore", "boto3", "urllib3", "werkzeug"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    home = Home.of(args.home)
    try:
        server = LocalServer(home, args.port, args.region)
    except (OSError, SystemExit) as error:  # werkzeug exits when it cannot bind
        log.error("cannot listen on %s:%s: %s", HOST, args.port, error)
        return EXIT_PORT_TAKEN

    def stop(signum: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, name="shutdown").start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    me = server.describe()
    me.save()
    log.info("serving %s from %s", me.endpoint_url, home.folder)
    try:
        server.serve()
    finally:
        if LocalAws.recorded(home) == me:
            home.server_json.unlink(missing_ok=True)
        log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
