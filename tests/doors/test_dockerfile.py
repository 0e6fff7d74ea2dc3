"""The image cannot be built by the tests; what must hold of it can be read."""

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "container"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, as (keyword, rest)."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_entry_point_is_exec_form(instructions: list[tuple[str, str]]) -> None:
    """SIGTERM must reach the server: no shell in between, no CMD that SageMaker's `serve` would replace."""
    entry_points = [rest for keyword, rest in instructions if keyword == "ENTRYPOINT"]

    assert [["python", "-I", "-u", "/opt/rerank/serve.py"]] == [json.loads(rest) for rest in entry_points]
    assert "CMD" not in {keyword for keyword, _ in instructions}


def test_copies_exactly_the_engine(instructions: list[tuple[str, str]]) -> None:
    """inference/ goes in whole, and nothing else of the repository but the list of requirements."""
    copies = [rest.split() for keyword, rest in instructions if keyword in ("COPY", "ADD")]

    expected = [["packaging/container/requirements.txt", "/tmp/requirements.txt"], ["inference/", "/opt/rerank/"]]
    assert expected == copies
    for source, _ in copies:
        assert (ROOT / source).exists()


def test_requirements_are_pinned(instructions: list[tuple[str, str]]) -> None:
    """Every package has its exact version, torch for both devices included."""
    listed = [line for line in (FOLDER / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    words = [word for keyword, rest in instructions if keyword == "RUN" for word in shlex.split(rest)]
    torch = [word for word in words if word.startswith("torch")]

    assert 2 == len(torch)
    assert all(re.fullmatch(r"[a-z]+==[0-9.]+", line) for line in [*listed, *torch])


def test_every_device_has_a_stage(instructions: list[tuple[str, str]]) -> None:
    """DEVICE picks one of the stages that install torch; cpu is the default."""
    stages = [rest.split() for keyword, rest in instructions if keyword == "FROM"]

    assert {"base", "cpu", "gpu"} == {words[2] for words in stages if len(words) == 3}
    assert ["${DEVICE}"] == stages[-1]
    assert ("ARG", "DEVICE=cpu") == instructions[0]


def test_listens_beyond_loopback_and_takes_its_port(instructions: list[tuple[str, str]]) -> None:
    """Inside the container the server listens on all addresses, on the port SageMaker names."""
    assert ("ENV", "RERANK_BIND_HOST=0.0.0.0") in instructions
    assert ("LABEL", "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true") in instructions
