"""scripts/setup_checks.sh: what fails in the first second, and what a failed command's output is said to mean."""

import pytest
from tests.setup.conftest import Shell


def test_a_python_without_venv_is_told_from_none(shell: Shell) -> None:
    """The message names the package to install."""
    shell.program("python3.11", 'case "$*" in *ensurepip*) exit 1 ;; --version) echo Python 3.11.2 ;; esac')

    done = shell("find_python")

    assert 1 == done.returncode
    assert "ERROR python3.11 (Python 3.11.2) has no venv module: ensurepip is missing." in done.stderr
    assert "apt-get install python3-venv" in done.stderr


def test_no_python_at_all_is_said_with_what_was_tried(shell: Shell) -> None:
    """With PYTHON's value, where one was given."""
    done = shell("PYTHON=/no/such/python find_python")

    assert 1 == done.returncode
    assert "No Python 3.11 or newer was found (tried /no/such/python, python3.11 …" in done.stderr


@pytest.mark.parametrize("place", ["project", "TMPDIR"])
def test_a_place_that_cannot_be_written_is_named_before_any_work(shell: Shell, place: str) -> None:
    """`mktemp` fails there, as on a file system that is read-only, where root's permission bits would say otherwise."""
    refused = shell.project if place == "project" else shell.tmp
    shell.refuse(refused)

    done = shell("prepare dev")

    assert 1 == done.returncode
    assert f"ERROR No file can be written in {refused}" in done.stderr
    assert [] == shell.calls("python3.11")


def test_a_missing_folder_for_temporary_files_is_named(shell: Shell) -> None:
    """TMPDIR may name what is not there."""
    done = shell(f"TMPDIR={shell.tmp}/none check_places")

    assert 1 == done.returncode
    assert f"ERROR No file can be written in {shell.tmp}/none" in done.stderr


def test_a_home_that_cannot_be_written_moves_the_caches(shell: Shell) -> None:
    """npm's, pip's, uv's and the CDK's go into the project, and the user reads it."""
    shell.refuse(shell.home)

    done = shell('place_caches; printf "%s\\n" "$npm_config_cache" "$PIP_CACHE_DIR" "$UV_CACHE_DIR" "$CDK_HOME"')

    cache = shell.project / ".tools" / "cache"
    assert 0 == done.returncode, done.stderr
    assert [str(cache / name) for name in ("npm", "pip", "uv", "cdk")] == done.stdout.splitlines()
    assert f"HOME ({shell.home}) cannot be written, so caches go to .tools/cache" in done.stderr


def test_a_cache_that_the_user_placed_stays(shell: Shell) -> None:
    """Only what is not set is set."""
    shell.refuse(shell.home)

    done = shell('npm_config_cache=/somewhere; place_caches; printf "%s\\n" "$npm_config_cache"')

    assert ["/somewhere"] == done.stdout.splitlines()


def test_a_home_that_can_be_written_is_left_alone(shell: Shell) -> None:
    """No cache is moved, nothing is said."""
    done = shell('place_caches; printf "%s\\n" "${npm_config_cache:-}${PIP_CACHE_DIR:-}${UV_CACHE_DIR:-}"')

    assert ("\n", "") == (done.stdout, done.stderr)


def test_a_disk_that_is_too_small_is_named_with_both_numbers(shell: Shell) -> None:
    """What is free and what is needed."""
    shell.program("df", r'printf "Filesystem 1024-blocks Used Available Capacity Mounted\n/dev/x 9 9 819200 9%% /\n"')

    done = shell("check_space 2300")

    assert 1 == done.returncode
    assert f"ERROR 800 MB are free in {shell.project}; what has to be installed needs about 2300 MB." in done.stderr


CAUSES = {
    "npm ERR! code EACCES\nnpm ERR! path /home/u/.npm/_cacache": "TIP A file or folder cannot be written: npm",
    "OSError: [Errno 28] No space left on device": "TIP The disk is full",
    "npm error code ENOSPC": "TIP The disk is full",
    "ERROR: No matching distribution found for torch==2.13.0": "TIP The package index has no file of it",
    "  × No solution found when resolving dependencies": "TIP The package index has no file of it",
    "npm error code ENOTFOUND": "TIP A connection failed. Is the network up",
    "WARNING: Retrying … NewConnectionError\nERROR: No matching distribution found for uv": "TIP A connection failed",
    "ssl.SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED": "TIP The server's certificate is not trusted here",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES": "TIP A downloaded file is not the one that the lock file names",
    "fatal error: Python.h: No such file or directory": "TIP The lines above are the end of its output.",
}


@pytest.mark.parametrize("output", CAUSES)
def test_a_failure_is_given_the_cause_that_its_output_names(shell: Shell, output: str) -> None:
    """The network is asked about only where the output names a connection."""
    shell.file("said.txt", output)

    done = shell('quietly "Doing it" sh -c "cat said.txt; exit 3"')

    assert 1 == done.returncode
    assert output.splitlines()[-1] in done.stderr
    assert "ERROR Doing it: exit code 3." in done.stderr
    assert CAUSES[output] in done.stderr
    assert ("Is the network up" in CAUSES[output] or "connection" in CAUSES[output]) is ("network" in done.stderr)


def test_no_temporary_file_is_left(shell: Shell) -> None:
    """Neither of what went well nor of what failed."""
    shell("quietly well true; quietly badly false")

    assert [] == list(shell.tmp.iterdir())
