"""Runs work that may take minutes: in its own thread in the server, at once under `mock_aws`."""

import logging
import threading
from collections.abc import Callable

from rerank_local.control.loopback import server_url

log = logging.getLogger(__name__)

# How long an API call waits for its work before it answers "in progress". CDK polls every 5 s once it sees a stack in
# progress and most stacks here are done in less, so waiting makes `cdk deploy` faster; no client times out so soon.
PATIENCE_S = 15.0


def run(work: Callable[[], None], name: str, *, patience_s: float = PATIENCE_S) -> None:
    """Runs `work`; in the server, returns after `patience_s` at the latest and lets it go on."""
    if server_url() is None:
        work()
        return

    def guarded() -> None:
        try:
            work()
        except Exception:
            log.exception("%s failed", name)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    thread.join(patience_s)
