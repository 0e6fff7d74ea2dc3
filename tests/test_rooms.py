"""The rules of the house that a reader of one file cannot see: who may import whom."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "inference": "rerank_engine",
    "packaging": "rerank_bundle",
    "infra": "rerank_infra",
    "client": "rerank_client",
    "local": "rerank_local",
    "training": "rerank_training",
    "scripts": "rerank_ops",
}
DOORS = {"inference", "serve"}  # modules of inference/ outside its package

# Which packages or modules of other rooms a room may import; no arrow runs back.
MAY_IMPORT: dict[str, set[str]] = {
    "inference": set(),
    "packaging": set(),
    "client": set(),
    "local": {"rerank_bundle.places", "rerank_bundle.manifest"},  # where the CDK app is, of which version
    "infra": {"rerank_engine.settings", "rerank_engine.errors"},  # errors: what settings raises
    "training": {"rerank_engine", "rerank_bundle", "rerank_client"},
    "scripts": {"rerank_engine", "rerank_bundle", "rerank_client", "rerank_local", "rerank_infra", "rerank_training"},
}

# The halls of each room, the lowest first: a file may import from its own hall and from those above it in this table.
# A hall is a line of file names without .py, or of patterns for them; a name goes before a pattern.
HALLS: dict[str, tuple[str, ...]] = {
    "rerank_engine": (
        "__init__ errors types calibration wire batching settings hosting",
        "dialects/*",
        "service/*",
        "models/*",
        "reranker/*",
        "telemetry/*",
        "handler server/*",
    ),
    "rerank_bundle": (
        "__init__ errors layout places",
        "stored_gzip tarball manifest unpack staging safetensors_header",
        "known_models checkpoint demo hub source",
        "score_script isolated acceptance parity judged precision",
        "build verify recalibrate",
    ),
    "rerank_infra": (
        "__init__ errors instance_list instances values nag statements parameters",
        "deployment environment",
        "keys wording",
        "rules/*",
        "loading",
        "*",  # one construct a file
        "foundation_stack endpoint_stack",
        "assembly",
    ),
    "rerank_client": ("errors types", "*", "client", "__init__"),
    "rerank_local": (
        "__init__ errors processes identity refusal state session project cdk_cli",
        "data/*",
        "data/container/*",
        "data/endpoints/*",
        "data/transform/*",
        "control/errors control/loopback control/schema",
        "control/handlers/*",
        "control/*",
        "cdk lifecycle",
        "router server",
    ),
    "rerank_training": (
        "__init__ errors workers reported state checkpoints contents stopping work",
        "texts beir pairs passages vocabulary chunking open_guides open_text",
        "bm25 biencoder runs metrics intervals calibration",
        "scorers/*",
        "evaluation figures",
        "mining stored teachers initial lexicon",
        "forward losses export prepare loop",
        "distill",
    ),
    "rerank_ops": (
        "__init__ errors installation explaining console progress documents outputs",
        "aws serving",
        "transform/*",
        "evaluation/* training/* comparison/*",
        "bench/*",
        "checks/* demo/*",
        "commands/*",
        "cli readme demo/__main__",
    ),
}

# From bytes to records, and from token ids to scores: they meet in the doors alone, handler and server/.
WINGS = (("dialects/", "service/"), ("models/", "reranker/"))

# Who may name the local AWS, and what of it; the commands of an account work without it.
LOCAL_USERS = {
    "aws": "rerank_local.s[et]*",  # session, state
    "checks/machine": "rerank_local.cdk_cli",  # which Node the CDK needs
    "commands/local": "rerank_local.*",
    "demo/*": "rerank_local.*",
    "bench/*": "rerank_local.*",
    "transform/outputs": "rerank_local.data.transform.files",  # what SageMaker calls an output, said once
}

# inference/ runs in AWS's container as it is, and nothing can be installed there.
ENGINE_LIBRARIES = {"torch", "numpy", "tokenizers", "safetensors"}
# Only our own server needs them, and RERANK_OTEL: inside functions.
LAZY_LIBRARIES = {"uvicorn", "httptools", "uvloop", "opentelemetry", "triton", "flash_attn"}
LAZY_FILES = {"triton_kernels.py"}  # imported inside functions, since a kernel is compiled from its own file


def sources(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py") if "cdk.out" not in path.parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def modules() -> dict[str, Path]:
    """Every module of every room's package, by its dotted name."""
    found = {}
    for room, name in ROOMS.items():
        for path in (ROOT / room / name).rglob("*.py"):
            parts = path.relative_to(ROOT / room).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules imported anywhere in `tree`; of `from package import module`, the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "a relative import: these rules read whole names"  # noqa: PT018
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from dict.fromkeys(name if name in modules() else node.module for name in named)


def imports_at_start(path: Path) -> Iterator[str]:
    """Modules imported as soon as `path` is: those of functions are not."""

    class TopLevel(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

    yield from imports(TopLevel().visit(ast.parse(path.read_text(encoding="utf-8"))))


def package(module: str) -> str:
    return module.partition(".")[0]


def inside(path: Path) -> str:
    """`path` below its room's package, without .py."""
    room = path.relative_to(ROOT).parts[0]
    return path.relative_to(ROOT / room / ROOMS[room]).with_suffix("").as_posix()


def hall(name: str, file: str) -> int | None:
    """Which hall of package `name` a file belongs to: by its own name, else by the longest pattern; None for none."""
    fits = [
        (len(pattern) if "*" in pattern else 1000, number)
        for number, line in enumerate(HALLS[name])
        for pattern in line.split()
        if fnmatchcase(file, pattern) and file.count("/") == pattern.count("/")
    ]
    return max(fits)[1] if fits else None


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room: str) -> None:
    """Of each other, wherever in the file the import stands."""
    others = {name for other, name in ROOMS.items() if other != room}
    forbidden = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sources(room)
        for module in imports(parsed(path))
        if package(module) in others and not {module, package(module)} & MAY_IMPORT[room]
    ]

    assert [] == forbidden


def test_rooms_do_not_go_round_in_a_circle() -> None:
    """The table above has a first room, which imports of none, and a last."""
    rooms = {name: {package(module) for module in MAY_IMPORT[room]} for room, name in ROOMS.items()}

    assert set(ROOMS.values()) == set(TopologicalSorter(rooms).static_order())


@pytest.mark.parametrize("name", HALLS)
def test_every_file_lies_in_a_hall(name: str) -> None:
    """A new file is named in the table, or lies in a folder that is."""
    files = [path for module, path in modules().items() if package(module) == name]

    assert [] == [str(path.relative_to(ROOT)) for path in files if hall(name, inside(path)) is None]


@pytest.mark.parametrize("name", HALLS)
def test_no_import_runs_back_up(name: str) -> None:
    """A hall imports of itself and of those under it; a file that lies too low is moved, not excused."""
    back = [
        f"{inside(path)} imports {inside(modules()[imported])}"
        for module, path in modules().items()
        if package(module) == name
        for imported in imports(parsed(path))
        if imported in modules() and package(imported) == name
        if (hall(name, inside(path)) or 0) < (hall(name, inside(modules()[imported])) or 0)
    ]

    assert [] == back


def test_no_files_go_round_in_a_circle() -> None:
    """Within a hall the files have an order too, though no table says it."""
    arrows = {
        module: {other for other in imports(parsed(path)) if other in modules() and other != module}
        for module, path in modules().items()
    }

    try:
        assert len(modules()) == len(list(TopologicalSorter(arrows).static_order()))
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(reversed(error.args[1]))}")


def test_the_wings_of_the_engine_never_name_each_other() -> None:
    """Only the doors know both: so formats can be tested without torch, and models without formats."""
    both = []
    for path in sources("inference/rerank_engine"):
        named = [inside(path), *(inside(modules()[name]) for name in imports(parsed(path)) if name in modules())]
        if all(any(name.startswith(wing) for name in named) for wing in WINGS):
            both.append(inside(path))

    assert [] == [file for file in both if not file.startswith(("server/", "handler"))]


def test_only_those_who_need_the_local_aws_name_it() -> None:
    """It is a guest of the command: nothing that works on an account rests on it."""
    others = [
        f"{inside(path)} imports {module}"
        for path in sources("scripts/rerank_ops")
        for module in imports(parsed(path))
        if package(module) == "rerank_local"
        if not any(fnmatchcase(inside(path), who) and fnmatchcase(module, what) for who, what in LOCAL_USERS.items())
    ]

    assert [] == others


def test_the_engine_imports_what_awss_container_has() -> None:
    """The standard library, four libraries, and others inside functions only."""
    known = {*sys.stdlib_module_names, *ENGINE_LIBRARIES, *DOORS, "rerank_engine"}
    everywhere = {name for path in sources("inference") for name in imports(parsed(path))}
    at_start = {name for path in sources("inference") if path.name not in LAZY_FILES for name in imports_at_start(path)}

    assert set() == {package(name) for name in everywhere} - known - LAZY_LIBRARIES
    assert set() == {package(name) for name in at_start} - known


def test_settings_need_the_standard_library_only() -> None:
    """The infrastructure reads them where no torch is installed."""
    engine = ROOT / "inference" / "rerank_engine"
    loaded = {
        module for name in ("__init__", "settings", "errors") for module in imports_at_start(engine / f"{name}.py")
    }

    assert loaded - {"rerank_engine.errors"} <= set(sys.stdlib_module_names) | {"collections.abc"}


@pytest.mark.parametrize("folder", [*ROOMS, "tests", *(f"tests/{path.name}" for path in (ROOT / "tests").iterdir())])
def test_rooms_and_tests_are_not_packages(folder: str) -> None:
    """packaging/__init__.py would shadow the `packaging` library; tests are collected by path."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_each_room_holds_one_package() -> None:
    """Of a name that collides with nothing."""
    for room, name in ROOMS.items():
        packages = [path.parent.name for path in (ROOT / room).glob("*/__init__.py")]

        assert packages in ([name], []), room


def test_no_folder_of_tests_shadows_a_library() -> None:
    """tests/packaging would."""
    assert not (ROOT / "tests" / "packaging").exists()
