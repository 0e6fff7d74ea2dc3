"""What a bundle holds and in which order: pure rules over names, shared by building and by verifying.

config.json  model.safetensors  tokenizer.json  bundle.json          always
tokenizer_config.json  special_tokens_map.json  added_tokens.json      when the checkpoint has them
LICENSE  NOTICE  README.md                                             likewise
code/inference.py  code/serve.py  code/rerank_engine/**.py             the engine, copied
code/requirements.txt                                                  only where it was allowed on purpose
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

# Not manifest.json: multi-model-server takes a folder that holds one for an archive of its own old format, and dies.
MANIFEST = "bundle.json"
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
REQUIREMENTS = "requirements.txt"
CODE = "code"
REQUIRED = (CONFIG, WEIGHTS, TOKENIZER)
DOORS = ("inference.py", "serve.py")
OPTIONAL = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "README.md",
)
# Formats that run code while they are being loaded, or that hide a pickle.
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".msgpack", ".h5"})
LONGEST_NAME = 200  # characters; the ustar header holds 255
_ENGINE_FILE = re.compile(r"code/rerank_engine/(?:[A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py")


def member_order(names: Iterable[str]) -> list[str]:
    """The names as they stand in the archive: sorted, `code/` last."""
    return sorted(names, key=lambda name: (name.startswith(f"{CODE}/"), name))


def is_member(name: str) -> bool:
    """Whether a bundle may hold a file of this name."""
    if name in {MANIFEST, *REQUIRED, *OPTIONAL, f"{CODE}/{REQUIREMENTS}"}:
        return True
    return name in {f"{CODE}/{door}" for door in DOORS} or _ENGINE_FILE.fullmatch(name) is not None


def name_problem(name: str) -> str | None:
    """Why a member of this name must not be written to disk; None when it may.

    Judged for every system at once: a bundle that is safe on Linux must not escape on Windows.
    """
    if not name:
        return "its name is empty"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "its name holds control characters"
    if len(name) > LONGEST_NAME:
        return f"its name is {len(name)} characters long, {LONGEST_NAME} is the most"
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "its path is absolute"
    if ".." in re.split(r"[/\\]", name):
        return "its path leads out of the bundle"
    if "\\" in name or name != PurePosixPath(name).as_posix():
        return "its path is not in its plain form (no ./, no //, no backslash)"
    return None
