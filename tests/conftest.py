"""Fixtures that every suite shares."""

import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint: a small JinaBERT with seeded random weights and its tokenizer. Not to be written to."""
    from rerank_bundle.demo import make_demo_checkpoint

    return make_demo_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of specifications, golden vectors and data beside the repository; skips where there is none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not present")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first: what is slow (AWS's own server, then the end-to-end road) does not delay their verdict."""
    items.sort(key=lambda item: 2 if item.get_closest_marker("e2e") else 1 if item.get_closest_marker("mms") else 0)


def pytest_configure() -> None:
    """A run that is called off (SIGTERM) ends as with Ctrl-C: fixtures take down what they started."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
