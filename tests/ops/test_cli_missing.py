"""Libraries that are not installed: help still works, and whatever needs one says which, and how to get it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rerank_ops import cli, installation
from rerank_ops.errors import Missing

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    *("rich", "torch", "numpy", "tokenizers", "safetensors", "uvicorn", "httptools", "huggingface_hub"),
    *("boto3", "botocore", "s3transfer", "moto", "werkzeug", "flask", "yaml", "cfnlint"),
    *("aws_cdk", "cdk_nag", "constructs", "jsii", "pydantic"),
    *("bm25s", "Stemmer", "ir_measures", "matplotlib", "onnxruntime", "onnx", "opentelemetry"),
)
# Raised for every import of a blocked library, in this process and, through PYTHONPATH, in its children.
BLOCKER = """\
import os, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["BLOCKED"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""
# Runs each of the command lines it is given and writes what came of them.
RUNNER = """\
import contextlib, io, json, sys
from rerank_ops import cli
found = []
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(line)
        except SystemExit as ended:
            code = ended.code
    found.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(found))
"""
Outcome = tuple[int, str, str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with data that commands get as far with as their libraries allow."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    for name in ("corpus", "queries"):
        (tmp_path / "data" / f"{name}.jsonl").write_text('{"_id": "1", "text": "a"}\n')
    (tmp_path / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n")
    (tmp_path / "pairs.jsonl").write_text('{"query": "q", "passage": "d"}\n')
    (tmp_path / "labelled.jsonl").write_text('{"query": "q", "document": "d", "label": 1}\n')
    return tmp_path


def run(place: Path, blocked: tuple[str, ...], lines: list[list[str]]) -> list[Outcome]:
    """Each command line's exit code, stdout and stderr, with the libraries blocked."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(lines)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "BLOCKED": " ".join(blocked), "AWS_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return [(code, out, err) for code, out, err in json.loads(done.stdout.splitlines()[-1])]


def test_help_needs_no_library(place: Path) -> None:
    """`rerank --help`, `--help` of each command, and the settings."""
    names = list(cli.discover())

    found = run(place, LIBRARIES, [["--help"], *([name, "--help"] for name in names), ["settings"]])

    assert [0] * (len(names) + 2) == [code for code, _, _ in found]
    assert all(len(out) > 200 for _, out, _ in found)


DEMO = str(ROOT / "training" / "checkpoints" / "demo")


NEEDS = {  # command line: what it misses first, and the extra that brings it
    "demo": ("aws_cdk", "ops"),
    "serve demo --port 0": ("uvicorn", "ops"),
    "local up": ("boto3", "ops"),
    "invoke --query q d": ("botocore", "client"),
    "transform list": ("botocore", "ops"),
    "compare demo": ("torch", "ops"),
    "evaluate data --model bm25": ("numpy", "training"),
    f"calibrate {DEMO} labelled.jsonl": ("numpy", "training"),
    "bench --requests 1 --documents 2": ("safetensors", "bench"),
    "distill pairs.jsonl --output x": ("torch", "training"),
    f"finetune {DEMO} pairs.jsonl --output y": ("torch", "training"),
}


def test_the_library_and_its_extra_are_named(place: Path) -> None:
    """ERROR and TIP, exit code 1, no traceback: with none of the libraries, rich included."""
    found = run(place, LIBRARIES, [line.split() for line in NEEDS])

    for (line, (missing, extra)), (code, _, said) in zip(NEEDS.items(), found, strict=True):
        assert 1 == code, line
        assert f"Python package '{missing}' is not installed." in said, line
        assert f"TIP pip install -e '.[{extra}]' in the checkout {ROOT}, which brings " in said, line
        assert "Traceback" not in said, line


def test_what_runs_in_another_process_is_told_as_well(place: Path) -> None:
    """Making, fetching and opening models: each library by its own name."""
    lines = ["package demo-random --output b.tar.gz", f"package org/x --revision {'01' * 20} --output c.tar.gz"]

    (_, _, made), (_, _, fetched) = found = run(place, LIBRARIES, [line.split() for line in lines])

    assert [1, 1] == [code for code, _, _ in found]
    assert "TIP pip install numpy tokenizers safetensors (the kit's extra `engine` has them)." in made
    assert "TIP pip install huggingface_hub (the kit's extra `package` has it), or name a checkpoint folder." in fetched


def test_a_table_needs_no_rich(place: Path) -> None:
    """The extra `client` does not bring it, and is enough to ask an endpoint."""
    [(code, out, _)] = run(place, ("rich",), [["settings"]])

    assert 0 == code
    assert re.search(r"^setting +default +meaning$", out, re.MULTILINE)
    assert re.search(r"^RERANK_DEVICE +auto +Where", out, re.MULTILINE)


def test_an_extra_is_installed_as_the_kit_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the checkout where there is one; else from the very wheel file; never by a name on an index."""
    wheel = tmp_path / "kit.whl"
    monkeypatch.setattr(installation, "checkout", lambda: None)
    monkeypatch.setattr(installation, "_origin", lambda: wheel)
    from_wheel = installation.install_command("client")
    monkeypatch.setattr(installation, "_origin", lambda: None)

    assert f"pip install '{wheel}[client]'" == from_wheel
    assert "pip install 'WHEEL[client]' with the kit's wheel file for WHEEL" == installation.install_command("client")
    with pytest.raises(Missing, match="'no_such_library' is not installed") as caught:
        installation.require("json", "no_such_library")
    assert "pip install no-such-library" == caught.value.tip


def test_every_library_that_an_extra_brings_is_found() -> None:
    """By the names that modules and distributions have."""
    named = {module: installation.tip(module) for module in ("boto3", "aws_cdk", "bm25s", "Stemmer", "onnxruntime")}

    assert {"boto3": "ops", "aws_cdk": "ops", "bm25s": "training", "Stemmer": "training", "onnxruntime": "bench"} == {
        module: re.findall(r"\[(\w+)\]", text)[0] for module, text in named.items()
    }


NAMED = re.compile(r"\binstall\b[^#\n]*[\s'\"]sagemaker[-_.]rerank[-_.]kit(?!\S*\.whl)")


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("pip install 'sagemaker-rerank-kit[engine]'.", True),
        ("python -m pip install --upgrade sagemaker_rerank_kit", True),
        ("uv pip install sagemaker-rerank-kit", True),
        ("pip install -e '.[ops]' in the checkout", False),
        ("pip install ./sagemaker_rerank_kit-0.1.0-py3-none-any.whl", False),
        ('ops = ["sagemaker-rerank-kit[serve]"]', False),
    ],
)
def test_a_bad_tip_is_recognised(line: str, bad: bool) -> None:
    """The kit's own requirements and its wheel file are none."""
    assert bad is bool(NAMED.search(line))


def test_no_tip_installs_the_kit_by_a_name() -> None:
    """The name is nobody's on the index: `pip install` of it would run a stranger's code."""
    suffixes = {".py", ".md", ".sh", ".toml", ".txt", ".yml", ".yaml", ""}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    paths = [ROOT / name for name in listed if name and Path(name).suffix in suffixes and (ROOT / name).is_file()]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        if path not in (Path(__file__), Path(installation.__file__))
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if NAMED.search(line)
    ]

    assert len(paths) > 100
    assert [] == found
