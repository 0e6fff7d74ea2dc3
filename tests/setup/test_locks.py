"""The lock files of requirements/: made from what pyproject.toml asks for now, for every Python, naming no host."""

import re
import runpy
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
DIGEST = runpy.run_path(str(ROOT / "scripts" / "lock_digest.py"))["digest"]
EXTRAS = {"run": ["ops"], "dev": ["dev"], "sagemaker": ["dev", "sagemaker"]}
FILES = {
    "installer": "requirements/installer.txt",
    "node": "requirements/node.txt",
    "toolkit": "tests/requirements-toolkit.txt",
}
SOURCES = FILES | dict.fromkeys(EXTRAS, "pyproject.toml")
OWN = "sagemaker-rerank-kit"
REMEDY = "run scripts/lock"


@cache
def locked(name: str) -> list[tuple[Requirement, int]]:
    """Each locked package, and the count of its hashes."""
    text = "\n".join(line for line in (LOCKS / f"{name}.lock").read_text().splitlines() if not line.startswith("#"))
    entries = re.split(r"(?<!\\)\n", text)
    return [(Requirement(entry.partition("\\")[0]), entry.count("--hash=sha256:")) for entry in entries if entry]


def wanted(extra: str) -> Iterator[Requirement]:
    """What an extra asks for; the kit's own extras are followed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"] + project["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) == OWN:
            for other in requirement.extras:
                yield from wanted(other)
        else:
            yield requirement


@pytest.mark.parametrize("name", SOURCES)
def test_a_lock_is_not_older_than_what_it_was_made_from(name: str) -> None:
    """The digest in its header is that of the requirements of now."""
    header = f"# digest: {DIGEST(ROOT / SOURCES[name])}"

    assert header in (LOCKS / f"{name}.lock").read_text().splitlines(), REMEDY


@pytest.mark.parametrize(("name", "extra"), [(name, extra) for name, extras in EXTRAS.items() for extra in extras])
def test_every_requirement_of_an_extra_is_locked_in_a_version_that_suits(name: str, extra: str) -> None:
    """torch is the one that set-up installs by itself."""
    versions: dict[str, list[str]] = {}
    for package, _ in locked(name):
        versions.setdefault(canonicalize_name(package.name), []).extend(item.version for item in package.specifier)
    missing = [
        str(requirement)
        for requirement in wanted(extra)
        if requirement.name != "torch"
        and not any(requirement.specifier.contains(v) for v in versions.get(canonicalize_name(requirement.name), []))
    ]

    assert [] == missing, REMEDY


@pytest.mark.parametrize("name", SOURCES)
def test_every_locked_package_has_one_version_and_hashes(name: str) -> None:
    """Else the file would not be a lock."""
    loose = [
        str(package)
        for package, hashes in locked(name)
        if not hashes or not re.match(r"==[^*]+$", str(package.specifier))
    ]

    assert [] == loose


@pytest.mark.parametrize("name", EXTRAS)
def test_no_lock_holds_torch_or_its_libraries(name: str) -> None:
    """They come in the build that suits the machine. triton is there as far as the kit asks for it."""
    names = {canonicalize_name(package.name) for package, _ in locked(name)}

    assert set() == {one for one in names if one == "torch" or one.startswith(("nvidia-", "cuda-"))}
    assert ("triton" in names) is (name != "run")


@pytest.mark.parametrize("name", SOURCES)
def test_no_lock_names_a_host(name: str) -> None:
    """The index is the user's."""

    assert [] == re.findall(
        r".*(?:://|--(?:extra-)?index-url|--find-links|--trusted-host).*", (LOCKS / f"{name}.lock").read_text()
    )


def test_a_digest_changes_with_requirements_and_not_with_layout(tmp_path: Path) -> None:
    """Order, comments and other tables do not count."""
    head = '[project]\nname = "x"\nrequires-python = ">=3.11"\ndependencies = ["a>=1", "b"]\n'
    same = '[project]\nname = "y" # new\nrequires-python = ">=3.11"\ndependencies = [\n "b",\n "a>=1",\n]\n'
    tail = '[project.optional-dependencies]\nmore = ["c==1"]\n'
    digests = []
    for number, text in enumerate((head + tail, same + tail, head + tail.replace("==1", "==2"))):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        digests.append(DIGEST(path))

    assert digests[0] == digests[1] != digests[2]
