"""How a model's process is started: command, environment, port."""

import os
import random
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rerank_local.data.errors import ContainerFailed, ModelDataFailed

PORTS = range(20_000, 32_000)  # below the kernel's ephemeral range; AWS's own model server refuses ports above 49151


@dataclass(frozen=True, slots=True)
class Command:
    """What is executed."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


Launcher = Callable[[Path, int, Mapping[str, str]], Command]


def serve_door(base: Path, port: int, environment: Mapping[str, str]) -> Command:
    """The bundle's own server, `code/serve.py`, in isolated Python on 127.0.0.1:port.

    A stand-in for the container: the image is not run. The process sees the model's environment and what a container
    would have of its own (PATH, HOME, LANG, SAGEMAKER_*), nothing of this process: no AWS credentials, no RERANK_*.

    Args:
        base: what is /opt/ml in a container; the model is in base/model.

    Raises:
        ModelDataFailed: the bundle has no code/serve.py.
    """
    script = base / "model" / "code" / "serve.py"
    if not script.is_file():
        raise ModelDataFailed(
            "The model archive has no code/serve.py, so there is nothing to start on this machine.",
            tip="Build the archive with `rerank package`; images without it run on AWS only.",
        )
    own = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(base),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    fixed = {
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "RERANK_BIND_HOST": "127.0.0.1",
    }
    given = {name: str(value) for name, value in environment.items()}
    return Command((sys.executable, "-I", "-u", str(script)), {**own, **given, **fixed})


def free_port() -> int:
    """A port of `PORTS` that nothing listens on.

    Raises:
        ContainerFailed: 200 tries found none.
    """
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ContainerFailed(f"No free port between {PORTS.start} and {PORTS.stop} after 200 tries.")
