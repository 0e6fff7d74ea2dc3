"""Says uv what pip is told: prints `export UV_…=…` lines for pip's settings, because uv reads none of them.

`eval "$(python scripts/uv_settings.py)"`. What the user gave uv itself (a UV_ variable) is left as it is.
"""

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping

# pip's names, uv's variable, what separates several values there (pip separates them by white space)
_NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "proxy": ("ALL_PROXY", " "),
}


def settings(config: Iterable[str]) -> dict[str, str]:
    """pip's own settings by name, from the lines of `pip config list`: `global.index-url='…'`, `:env:.cert='…'`.

    The environment counts before files, and what is set for `install` before what is set for all commands.
    """
    found: dict[str, tuple[int, str]] = {}
    for line in config:
        key, separator, value = line.partition("=")
        section, _, name = key.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if not separator or rank is None or (name in found and found[name][0] > rank):
            continue
        found[name] = (rank, str(ast.literal_eval(value)))
    return {name: value for name, (_, value) in found.items()}


def variables(pip: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """uv's variables for pip's settings."""
    for name, (variable, separator) in _NAMES.items():
        if value := pip.get(name, "").split():
            yield variable, separator.join(value)
    # pip takes the best version of all indexes together. The hashes of the lock files name which file it may be.
    yield "UV_INDEX_STRATEGY", "unsafe-best-match"


def main() -> None:
    """Prints the lines."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for variable, value in variables(settings(listed.splitlines())):
        if variable not in os.environ:
            sys.stdout.write(f"export {variable}={shlex.quote(value)}\n")


if __name__ == "__main__":
    main()
