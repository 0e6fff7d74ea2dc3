"""A model's server as a child process on 127.0.0.1, from a bundle, a checkpoint folder or the demo."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rerank_ops import console, installation
from rerank_ops.errors import NotFound, Refused

HOST = "127.0.0.1"
EXAMPLE = '{"query": "what scales to zero?", "documents": ["async endpoints", "real-time endpoints"]}'


def serve(model: str, *, port: int) -> int:
    """Runs the server until it ends; SIGTERM and SIGINT reach it, so that it drains. Port 0 takes a free one.

    Raises:
        Refused: the port cannot be had.
        NotFound, BundleError: as `model_folder`.
    """
    port = free_port(port)
    installation.require("uvicorn", "torch", "tokenizers", "safetensors")
    if (host := os.environ.get("RERANK_BIND_HOST")) not in (None, "", HOST, "localhost"):
        console.warn(f"RERANK_BIND_HOST={host} is not used: `rerank serve` listens on {HOST} only.")
    with model_folder(model) as folder, tempfile.TemporaryDirectory(prefix="rerank-serve-") as scratch:
        door = server_script(folder)
        console.talk(f"Serving {model} with {door.name} of {door.parent}.")
        console.talk(f"Ready when http://{HOST}:{port}/ping says 200. Then, for example:")
        console.talk(f"  curl http://{HOST}:{port}/invocations -H 'content-type: application/json' -d '{EXAMPLE}'")
        env = server_environment(folder, port, os.environ)
        # A session of its own: Ctrl-C reaches this process alone, which passes it on once, as SIGTERM.
        child = subprocess.Popen([sys.executable, "-I", str(door)], env=env, cwd=scratch, start_new_session=True)
        return _wait(child)


def free_port(port: int) -> int:
    """`port` itself, or a free one for 0, once it was seen that a server can listen there.

    Raises:
        Refused: another program listens there, or this user may not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Refused(
                    f"This user may not listen on port {port}.", tip="Take one from 1024 on, such as --port 8080."
                ) from error
            raise Refused(
                f"Port {port} on {HOST} cannot be had: {error.strerror}.",
                tip="Stop what listens there, or take another port: --port 0 finds a free one.",
            ) from error
        return int(probe.getsockname()[1])


@contextmanager
def model_folder(model: str) -> Iterator[Path]:
    """The folder with config.json and weights that `model` names; temporary ones are removed afterwards.

    Raises:
        NotFound: it is neither a tarball, nor a checkpoint folder, nor "demo" or "demo-random".
        Refused: it may not be read.
        BundleError: the tarball must not be unpacked.
    """
    path = Path(model)
    if path.exists() and not os.access(path, os.R_OK):
        raise Refused(f"{model} cannot be read: no permission.")
    if (path / "config.json").is_file():
        yield path.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="rerank-model-") as temporary:
        folder = Path(temporary)
        if path.is_file():
            from rerank_bundle.unpack import unpack

            unpack(path, folder)
        elif model == "demo":
            from rerank_bundle.demo import demo_checkpoint

            folder = demo_checkpoint()
        elif model == "demo-random":
            from rerank_bundle.demo import make_demo_checkpoint

            console.warn("demo-random has random weights: its scores carry no meaning.")
            make_demo_checkpoint(folder)
        else:
            raise NotFound(
                f"{model!r} is neither a model.tar.gz nor a folder with a config.json.",
                tip="Build one with `rerank package SOURCE`, or name demo, the model that comes with the kit.",
            )
        yield folder


def server_script(folder: Path) -> Path:
    """The bundle's own code/serve.py, else the kit's.

    Raises:
        BundleError: the folder has no code, and this installation of the kit has none either.
    """
    from rerank_bundle.places import place

    door = folder / "code" / "serve.py"
    return door if door.is_file() else place("inference/serve.py")


def server_environment(folder: Path, port: int, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with where the model is and where to listen; loopback, whatever the environment says."""
    ours = {"RERANK_MODEL_DIR": str(folder), "RERANK_BIND_HOST": HOST, "SAGEMAKER_BIND_TO_PORT": str(port)}
    return {**env, **ours}


def _wait(child: subprocess.Popen[bytes]) -> int:
    def forward(_: int, __: FrameType | None) -> None:
        child.terminate()

    previous = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if child.poll() is None:
            child.kill()
            child.wait()
