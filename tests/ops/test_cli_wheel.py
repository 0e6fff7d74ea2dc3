"""The wheel works outside a checkout: the commands find what they need in it, or say what they cannot do."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="builds the wheel; the extra `dev` has it")

ROOT = Path(__file__).parents[2]
CARRIED = "rerank_bundle/data/checkout"
Rerank = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    program = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(folder)]
    subprocess.run([sys.executable, *command, str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture
def rerank(installed: Path, tmp_path: Path) -> Rerank:
    """`rerank …` from the installed wheel, in an empty folder."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "rerank_ops.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def test_the_wheel_carries_the_files_that_commands_need(wheel: Path) -> None:
    """The demo's model, the doors and the engine, the CDK app: the very bytes of the checkout, and nothing cached."""
    patterns = (
        "inference/**/*.py",
        "inference/**/py.typed",
        "training/checkpoints/demo/*",
        "infra/app.py",
        "infra/deployments/*.toml",
    )
    expected = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)} | {"cdk.json"}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        carried = {name.removeprefix(f"{CARRIED}/") for name in names if name.startswith(f"{CARRIED}/")}
        differing = [name for name in carried if archive.read(f"{CARRIED}/{name}") != (ROOT / name).read_bytes()]

    assert expected == carried
    assert [] == differing
    assert [] == [name for name in names if "__pycache__" in name]
    rooms = {"bundle", "client", "engine", "infra", "local", "ops", "training"}
    assert {f"rerank_{room}" for room in rooms} == {
        name.partition("/")[0] for name in names if ".dist-info" not in name
    }


def test_an_editable_install_carries_no_copies(tmp_path: Path) -> None:
    """They would grow stale beside the checkout that it runs from."""
    program = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as archive:
        assert [] == [name for name in archive.namelist() if CARRIED in name]


def test_the_demo_is_packaged_with_its_trained_weights(rerank: Rerank, tmp_path: Path) -> None:
    """The same bundle as from the checkout: never random weights; `verify` finds it sound."""
    packaged = rerank("package", "demo", "--json")
    manifest = json.loads(packaged.stdout)["manifest"]
    weights = next(entry for entry in manifest["files"] if entry["name"] == "model.safetensors")
    verified = rerank("verify")

    assert 0 == packaged.returncode, packaged.stderr
    assert (False, "rerank-demo") == (manifest["model"]["meaningless_scores"], manifest["model"]["name"])
    assert (ROOT / "training/checkpoints/demo/model.safetensors").stat().st_size == weights["size"]
    assert "code/serve.py" in json.loads(packaged.stdout)["members"]
    assert 0 == verified.returncode, verified.stderr
    assert (tmp_path / "dist" / "model.tar.gz").is_file()


def test_models_are_opened_as_in_the_checkout(installed: Path, tmp_path: Path) -> None:
    """`serve demo` and `compare demo` take the trained weights and the wheel's own code."""
    program = (
        "import rerank_ops.serving as s\n"
        "with s.model_folder('demo') as folder: print(folder); print(s.server_script(folder))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )

    data = installed / CARRIED
    assert [str(data / "training/checkpoints/demo"), str(data / "inference/serve.py")] == done.stdout.split()


def test_settings_are_listed(rerank: Rerank) -> None:
    """Without any file of the checkout."""
    done = rerank("settings", "--json")

    assert 0 == done.returncode, done.stderr
    assert "RERANK_PRECISION" in [knob["env"] for knob in json.loads(done.stdout)]


def test_the_cdk_app_is_written_out_and_synthesises(rerank: Rerank, installed: Path, tmp_path: Path) -> None:
    """`cdk` gets a folder of its own to run in; a deployment's file that was edited there stays."""
    program = "from rerank_local.cdk_cli import project_root; print(project_root())"
    environment = {**os.environ, "PYTHONPATH": str(installed), "CDK_DEFAULT_REGION": "us-east-1"}
    run = {"cwd": tmp_path, "capture_output": True, "text": True}

    [project] = subprocess.run([sys.executable, "-c", program], env=environment, check=True, **run).stdout.split()
    sandbox = Path(project) / "infra" / "deployments" / "sandbox.toml"
    sandbox.write_text(sandbox.read_text().replace("log_days = 7", "log_days = 14"))
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, **run)

    assert tmp_path == Path(project).parents[1]
    assert "log_days = 14" in sandbox.read_text()
    assert {"production.toml", "sandbox.toml"} == {path.name for path in sandbox.parent.iterdir()}
    assert (ROOT / "cdk.json").read_bytes() == (Path(project) / "cdk.json").read_bytes()
    # The app itself: it looks for its deployments beside it, and names the bundle that is not built yet.
    app = subprocess.run([sys.executable, "infra/app.py"], env=environment, check=False, **run | {"cwd": project})
    assert 1 == app.returncode
    assert f"bundle.path has value '{project}/dist/model.tar.gz'. There is no such file." in app.stderr


def test_what_needs_a_checkout_is_refused_by_name(rerank: Rerank) -> None:
    """A training job ships the training code of a checkout; nothing is uploaded first."""
    done = rerank("train", "--role", "r", "--bucket", "b", "--", "finetune", "demo", "pairs.jsonl", "--output", "x")

    assert 1 == done.returncode
    assert "ERROR `rerank train` needs a checkout of the kit" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.e2e
def test_the_whole_road_is_walked_from_the_wheel(rerank: Rerank, tmp_path: Path) -> None:
    """`rerank demo --json`: one JSON value on stdout with steps and rankings; the talk is on stderr."""
    project = tmp_path / ".rerank" / f"project-{version('sagemaker-rerank-kit')}"
    project.mkdir(parents=True)
    if (ROOT / ".tools").exists():  # else the CDK CLI is installed anew
        (project / ".tools").symlink_to(ROOT / ".tools")

    done = rerank("demo", "--json")

    assert 0 == done.returncode, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert ["package the small demo model", "take everything down"] == [*found["seconds"]][:: len(found["seconds"]) - 1]
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert (10, False, False) == (len(found["questions"]), found["meaningless_scores"], found["kept"])
    assert 6 <= found["answered"] == sum(question["answers"] for question in found["questions"])
    assert all(42 == len(question["ranking"]) for question in found["questions"])
    assert (10, True) == (found["batch"]["lines"], found["batch"]["largest_difference"] < 1e-5)
    assert "Everything was taken down." in done.stderr
