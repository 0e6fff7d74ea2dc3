"""The digest that a lock file carries of what it was made from: `python scripts/lock_digest.py pyproject.toml`."""

import hashlib
import json
import sys
import tomllib
from pathlib import Path


def digest(source: Path) -> str:
    """Hex digest of a pyproject.toml's requirements, whatever their order and layout, or of a requirements file."""
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".toml":
        project = tomllib.loads(text)["project"]
        extras = {name: sorted(lines) for name, lines in project["optional-dependencies"].items()}
        said: object = [project["requires-python"], sorted(project["dependencies"]), extras]
    else:
        said = sorted(line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#"))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    print(digest(Path(sys.argv[1])))
