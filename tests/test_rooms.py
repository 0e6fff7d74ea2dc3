"""The rules of the house that a reader of one file cannot see: who may import whom."""

import ast
import sys
from collections.abc import Iterator
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

# Which modules of other rooms a room may import. scripts and training may use all, so they are not listed.
MAY_IMPORT: dict[str, set[str]] = {
    "inference": set(),
    "packaging": set(),
    "client": set(),
    "local": {"rerank_bundle.places", "rerank_bundle.manifest"},
    "infra": {"rerank_engine.settings", "rerank_engine.errors"},  # errors: what settings raises
}

# inference/ runs in AWS's container as it is, and nothing can be installed there.
ENGINE_LIBRARIES = {"torch", "numpy", "tokenizers", "safetensors"}
# Only our own server needs them, and RERANK_OTEL: inside functions.
LAZY_LIBRARIES = {"uvicorn", "httptools", "uvloop", "opentelemetry", "triton", "flash_attn"}
LAZY_FILES = {"triton_kernels.py"}  # imported inside functions, since a kernel is compiled from its own file


def sources(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).rglob("*.py") if "cdk.out" not in path.parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules imported anywhere in `tree`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


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


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_they_may(room: str) -> None:
    """Of each other, wherever in the file the import stands."""
    others = {name for other, name in ROOMS.items() if other != room}
    forbidden = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sources(room)
        for module in imports(ast.parse(path.read_text(encoding="utf-8")))
        if package(module) in others and module not in MAY_IMPORT[room]
    ]

    assert [] == forbidden


def test_only_the_rule_makes_sessions_of_boto3() -> None:
    """Whoever makes one elsewhere follows boto3's own order of profiles and regions, and deploys where nobody calls."""
    rule = {"client/rerank_client/aws.py", "scripts/rerank_ops/aws.py"}
    server = {"local/rerank_local/control/loopback.py"}  # calls itself, at an address and with keys of its own
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in sources(room)
        if any(package(module) == "boto3" for module in imports(ast.parse(path.read_text(encoding="utf-8"))))
    }

    assert rule | server == found


def test_the_engine_imports_what_awss_container_has() -> None:
    """The standard library, four libraries, and others inside functions only."""
    known = {*sys.stdlib_module_names, *ENGINE_LIBRARIES, *DOORS, "rerank_engine"}
    everywhere, at_start = (
        {
            f"{path.relative_to(ROOT)}: {module}"
            for path in sources("inference")
            for module in found(path)
            if package(module) not in allowed
        }
        for found, allowed in (
            (lambda path: imports(ast.parse(path.read_text(encoding="utf-8"))), known | LAZY_LIBRARIES),
            (lambda path: () if path.name in LAZY_FILES else imports_at_start(path), known),
        )
    )

    assert set() == everywhere
    assert set() == at_start


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
