"""A model's server as a child process on 127.0.0.1, from a bundle, a checkpoint folder or the demo."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rerank_ops import console
from rerank_ops.errors import NotFound

HOST = "127.0.0.1"
EXAMPLE = '{"query": "what scales to zero?", "documents": ["async endpoints", "real-time endpoints"]}'


def serve(model: str, *, port: int) -> int:
    """Runs the server until it ends; SIGTERM and SIGINT reach it, so that it drains."""
    with model_folder(model) as folder, tempfile.TemporaryDirectory(prefix="rerank-serve-") as scratch:
        door = server_script(folder)
        console.talk(f"Serving {model} with {door.name} of {door.parent}.")
        console.talk(f"Ready when http://{HOST}:{port}/ping says 200. Then, for example:")
        console.talk(f"  curl http://{HOST}:{port}/invocations -H 'content-type: application/json' -d '{EXAMPLE}'")
        env = server_environment(folder, port, os.environ)
        # A session of its own: Ctrl-C reaches this process alone, which passes it on once, as SIGTERM.
        child = subprocess.Popen([sys.executable, "-I", str(door)], env=env, cwd=scratch, start_new_session=True)
        return _wait(child)


@contextmanager
def model_folder(model: str) -> Iterator[Path]:
    """The folder with config.json and weights that `model` names; temporary ones are removed afterwards.

    Raises:
        NotFound: it is neither a tarball, nor a checkpoint folder, nor "demo".
        BundleError: the tarball must not be unpacked.
    """
    path = Path(model)
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

            folder = demo_checkpoint(folder)
        else:
            raise NotFound(
                f"{model!r} is neither a model.tar.gz nor a folder with a config.json.",
                tip="Build one with `rerank package SOURCE`, or say `rerank serve demo`.",
            )
        yield folder


def server_script(folder: Path) -> Path:
    """The bundle's own code/serve.py, else this checkout's.

    Raises:
        NotFound: the folder has no code and the kit is not installed from a checkout.
    """
    import rerank_engine

    checkout = Path(rerank_engine.__file__).resolve().parents[1] / "serve.py"
    for door in (folder / "code" / "serve.py", checkout):
        if door.is_file():
            return door
    raise NotFound(f"{folder} has no code/serve.py, and this is not a checkout.", tip="Serve a model.tar.gz instead.")


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
