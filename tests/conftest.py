"""Fixtures that every suite shares, and what a test may ask of the machine that it runs on."""

import functools
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60.0
SLOW_TEST_S = 900.0  # of a test that starts servers, or deploys; see `timeout` in pyproject.toml for all others


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint: a small JinaBERT with seeded random weights and its tokenizer. Not to be written to."""
    from rerank_bundle.demo import make_demo_checkpoint

    return make_demo_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Looks again and again until what it looks at is true, and gives that; fails after `timeout_s` seconds."""

    def look(condition: Callable[[], Any], what: str, *, timeout_s: float = PATIENCE_S) -> Any:
        pause, deadline = threading.Event(), time.monotonic() + timeout_s
        while not (found := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"After {timeout_s:g} s it is still not so: {what}.")
            pause.wait(0.005)  # leaves the core to what is waited for
        return found

    return look


@functools.cache
def can(ability: str) -> bool:
    """Whether this processor, with the instructions that it may use, multiplies in the precision `ability`.

    `int8` and `bf16` are products with weights laid out in advance, `emulated bf16` is PyTorch's own product.
    """
    import torch

    from rerank_engine.models.products import Int8Product, OneDnnProduct, works
    from rerank_engine.reranker.devices import cpu_has_bf16

    if ability == "int8":
        return works(Int8Product, torch.float32, 0.03)
    if ability == "bf16":
        return cpu_has_bf16() and works(OneDnnProduct, torch.bfloat16, 0.01)
    if ability == "emulated bf16":
        return works(lambda weight, bias: lambda x: torch.nn.functional.linear(x, weight, bias), torch.bfloat16, 0.01)
    raise ValueError(f"Nobody knows how to ask the processor for {ability!r}.")


@pytest.fixture(scope="session", name="can")
def can_this_processor() -> Callable[[str], bool]:
    """See `can`: for tests of what happens on processors that cannot."""
    return can


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test marked `needs("int8")` where the processor cannot multiply so."""
    for mark in item.iter_markers("needs"):
        for ability in mark.args:
            if not can(ability):
                pytest.skip(f"this processor has no products in {ability}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first: what is slow (AWS's own server, then the end-to-end road) does not delay their verdict."""
    items.sort(key=lambda item: 2 if item.get_closest_marker("e2e") else 1 if item.get_closest_marker("mms") else 0)
    for item in items:
        if item.get_closest_marker("e2e") or item.get_closest_marker("mms"):
            item.add_marker(pytest.mark.timeout(SLOW_TEST_S))


def pytest_configure() -> None:
    """A run that is called off (SIGTERM) ends as with Ctrl-C: fixtures take down what they started."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
