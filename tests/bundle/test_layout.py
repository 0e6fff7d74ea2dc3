import pytest

from rerank_bundle import layout


def test_code_comes_last() -> None:
    """Members are sorted, the code after the model."""
    given = ["code/serve.py", "tokenizer.json", "code/inference.py", "config.json", "model.safetensors"]

    assert [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "code/inference.py",
        "code/serve.py",
    ] == layout.member_order(given)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("\\\\host\\share", "absolute"),
        ("C:/windows", "absolute"),
        ("../up", "leads out"),
        ("code/../../up", "leads out"),
        ("code\\..\\up", "leads out"),
        ("./config.json", "plain form"),
        ("code//serve.py", "plain form"),
        ("code/", "plain form"),
        ("code\\serve.py", "plain form"),
        ("con\nfig.json", "control"),
        ("nul\x00", "control"),
        ("a" * 201, "characters long"),
    ],
)
def test_dangerous_names_are_named(name: str, said: str) -> None:
    """A name that could leave the folder, on any system, has a problem that says so."""
    assert said in (layout.name_problem(name) or "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("config.json", True),
        ("bundle.json", True),
        ("LICENSE", True),
        ("code/serve.py", True),
        ("code/rerank_engine/models/jina_bert.py", True),
        ("code/requirements.txt", True),
        ("pytorch_model.bin", False),
        ("code/other.py", False),
        ("code/rerank_engine/__pycache__/engine.cpython-311.pyc", False),
        ("code/rerank_engine/.hidden.py", False),
        ("code", False),
        ("requirements.txt", False),
        ("subfolder/config.json", False),
    ],
)
def test_only_the_files_of_a_bundle_are_members(name: str, expected: bool) -> None:
    """A bundle holds the model's files, the manifest and Python code, and nothing else."""
    assert expected == layout.is_member(name)
