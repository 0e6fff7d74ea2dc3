"""Loading, failing and ending."""

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerank_engine.errors import CheckpointError, NotReady
from rerank_engine.hosting import Hosting
from rerank_engine.server.life import Life, loader
from rerank_engine.server.run import listen, main
from rerank_engine.settings import Settings


def begun(load: Callable[[], Any]) -> tuple[Life, threading.Event]:
    """A life that has loaded, or failed to; the event is set when it told of its failure."""
    told = threading.Event()
    life = Life(Settings(), Hosting(), load)
    life.on_failure = told.set
    life.start()
    life.join()
    return life, told


def test_ready_after_the_canary(engine: Any) -> None:
    """A model that scores its canary pair is ready."""
    life, told = begun(lambda: engine)

    assert life.trouble() is None
    assert [1] == engine.passes
    assert not told.is_set()
    assert life.end()


def test_what_is_loaded_is_not_looked_through_for_garbage(tiny_checkpoint: Path) -> None:
    """PyTorch and the model stay: collecting garbage need not stop requests for as long as they take to visit."""
    before = gc.get_freeze_count()
    settings = Settings(model_dir=str(tiny_checkpoint), device="cpu", precision="fp32")

    try:
        loader(Hosting(), settings)()

        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_ending_refuses_what_comes_after(engine: Any) -> None:
    """A server that shuts down is not healthy and takes nothing more."""
    life, _ = begun(lambda: engine)

    life.end()

    assert "shutting down" == life.trouble()
    with pytest.raises(NotReady, match="shutting down"):
        life.serving()


def test_a_wrong_canary_is_a_failure(engine: Any) -> None:
    """A model whose canary score is not the one recorded never becomes ready."""

    def wrong() -> float:
        raise CheckpointError("The canary scores 0.1, not 2.5.")

    engine.check_canary = wrong

    life, told = begun(lambda: engine)

    assert "the model failed to load: The canary scores 0.1, not 2.5." == life.trouble()
    assert told.is_set()


@pytest.mark.parametrize("error", [RuntimeError("libcuda.so"), SystemExit(3), MemoryError()])
def test_any_failure_to_load_is_told(error: BaseException) -> None:
    """Whatever goes wrong while loading ends the loading: no 503 for ever."""

    def load() -> Any:
        raise error

    life, told = begun(load)

    assert told.is_set()
    assert (life.trouble() or "").startswith(
        f"the model failed to load: The model failed to load: {type(error).__name__}"
    )


def test_a_taken_port_is_an_error_that_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The port is bound before anything else, and a taken one is one clear line."""
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        code = main([], {"SAGEMAKER_BIND_TO_PORT": str(port), "RERANK_MODEL_DIR": str(tmp_path)})

    stderr = capsys.readouterr().err
    assert 1 == code
    assert f"ERROR Cannot listen on 127.0.0.1 port {port}: Address already in use." in stderr
    assert "TIP Set SAGEMAKER_BIND_TO_PORT" in stderr


def test_a_port_that_cannot_be_is_an_error_that_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A number beyond 65535 ends in one clear line, too."""
    code = main([], {"SAGEMAKER_BIND_TO_PORT": "99999", "RERANK_MODEL_DIR": str(tmp_path)})

    stderr = capsys.readouterr().err
    assert 1 == code
    assert "ERROR Cannot listen on 127.0.0.1 port 99999: " in stderr
    assert "TIP Set SAGEMAKER_BIND_TO_PORT" in stderr


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["train"], {}, "ERROR Unknown arguments ['train']."),
        (["serve"], {"RERANK_TOKEN_BUDGE": "5"}, "ERROR RERANK_TOKEN_BUDGE is not a setting."),
        ([], {"SAGEMAKER_BIND_TO_PORT": "http"}, "ERROR SAGEMAKER_BIND_TO_PORT has value 'http'. Not a valid int."),
        ([], {"RERANK_DRAIN_SECONDS": "long"}, "ERROR RERANK_DRAIN_SECONDS has value 'long'. Not a valid float."),
    ],
)
def test_wrong_settings_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], env: dict[str, str], said: str
) -> None:
    """A wrong argument or variable ends the process before it listens, without a traceback."""
    code = main(arguments, env)

    assert 1 == code
    assert said == capsys.readouterr().err.splitlines()[0]
