"""Where the local AWS of a project lives, and how to reach the one that is running.

Everything is under `.rerank/local/` of the project's folder, or in LOCAL_AWS_HOME: server.json (written by the server
once it listens, removed when it ends), server.log, logs/ of the containers, work/ (their unpacked models), cdk/ (the
CLI's own files).
"""

import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rerank_local.errors import NotFound
from rerank_local.identity import key_id

ACCOUNT = "123456789012"  # moto's account; the local AWS has no other
HEALTH_PATH = "/_rerank/health"
STATUS_PATH = "/_rerank/status"
HOME_VARIABLE = "LOCAL_AWS_HOME"  # not RERANK_…: the engine refuses names of that kind that are no settings
CHECKOUT = Path(__file__).resolve().parents[2]  # of this command, if it is installed from one: then it has a cdk.json
PORTS = range(4510, 4610)  # below every system's ephemeral range, clear of the data plane's
_OF_AWS = ("AWS_", "AMAZON_", "MOTO_", "CDK_")  # first letters of variables that point at an AWS
_HEALTH_TIMEOUT_S = 2.0
_PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one local AWS."""

    folder: Path

    @classmethod
    def of(cls, folder: Path | None = None) -> "Home":
        """`folder` itself, LOCAL_AWS_HOME, or `.rerank/local` of the project.

        The project is the nearest folder, the current one or above it, that has a `.rerank/local` or a cdk.json; from
        elsewhere the checkout that this command is installed from; without one the current folder.
        """
        if folder is not None:
            return cls(folder.resolve())
        if named := os.environ.get(HOME_VARIABLE):
            return cls(Path(named).expanduser().resolve())
        here = Path.cwd()
        for parent in (here, *here.parents, CHECKOUT):
            if (parent / ".rerank" / "local").is_dir() or (parent / "cdk.json").is_file():
                return cls((parent / ".rerank" / "local").resolve())
        return cls((here / ".rerank" / "local").resolve())

    @property
    def server_json(self) -> Path:
        """Written by the server: who and where it is."""
        return self.folder / "server.json"

    @property
    def server_log(self) -> Path:
        """What the server printed."""
        return self.folder / "server.log"

    @property
    def logs(self) -> Path:
        """Logs of containers: logs/<endpoint>/… and logs/transform/<job>/…."""
        return self.folder / "logs"

    @property
    def work(self) -> Path:
        """Temporary files of the server: unpacked models, large S3 objects."""
        return self.folder / "work"

    @property
    def cdk(self) -> Path:
        """The CDK CLI's caches and assemblies."""
        return self.folder / "cdk"


@dataclass(frozen=True, slots=True)
class LocalAws:
    """A local AWS that is running (or was, when it wrote this down).

    Attributes:
        pid: process id of the server.
        started_at: ISO 8601, UTC.
        region: the region its clients use by default; others work as well.
    """

    pid: int
    port: int
    endpoint_url: str
    started_at: str
    region: str
    home: Path

    @classmethod
    def load(cls, home: Home | None = None) -> "LocalAws":
        """The local AWS of `home` (default: of the current folder), after asking whether it is alive.

        Raises:
            NotFound: none is running there.
        """
        home = home or Home.of()
        recorded = cls.recorded(home)
        if recorded is None or not recorded.is_alive():
            others = [
                f"That of {other.home} runs at {other.endpoint_url}."
                for other in running()
                if other.home != home.folder
            ]
            start = "Start one with: rerank local up"
            use = f"{start}. To use another project's: cd into its folder, or set {HOME_VARIABLE}."
            said = " ".join((f"No local AWS is running in {home.folder}.", *others))
            raise NotFound(said, tip=use if others else start)
        return recorded

    @classmethod
    def recorded(cls, home: Home) -> "LocalAws | None":
        """What server.json says, alive or not; None when there is none that can be read."""
        try:
            values = json.loads(home.server_json.read_text())
            return cls(**{**values, "home": Path(values["home"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def save(self) -> None:
        """Writes server.json in one step."""
        path = Home(self.home).server_json
        scratch = path.with_suffix(f".{self.pid}")
        scratch.write_text(json.dumps({**asdict(self), "home": str(self.home)}, indent=2))
        scratch.replace(path)

    def is_alive(self) -> bool:
        """Whether the server at this address answers and is the very process that was written down."""
        try:
            health = self.get(HEALTH_PATH, timeout_s=_HEALTH_TIMEOUT_S)
        except (OSError, ValueError, http.client.HTTPException):  # another program listens there
            return False
        return isinstance(health, dict) and health.get("pid") == self.pid and health.get("home") == str(self.home)

    def get(self, path: str, *, timeout_s: float = 10.0) -> Any:
        """JSON from one of the server's own paths.

        Raises:
            OSError: nothing answers.
            ValueError: what answers is not JSON.
        """
        # no proxy: the address is this machine's
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.endpoint_url}{path}", timeout=timeout_s) as reply:
            return json.load(reply)

    def env(self) -> dict[str, str]:
        """Environment of a program that shall talk to this AWS, and never to the user's own account or profile."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": key_id(self.home),
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_SESSION_TOKEN": "testing",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def running() -> list[LocalAws]:
    """Every local AWS of this machine that answers on one of `PORTS`, whosever; start and region are left empty."""
    found = []
    for port in PORTS:
        candidate = LocalAws(0, port, f"http://127.0.0.1:{port}", "", "", Path())
        try:
            health = candidate.get(HEALTH_PATH, timeout_s=_PROBE_TIMEOUT_S)
            found.append(replace(candidate, pid=int(health["pid"]), home=Path(health["home"])))
        except (OSError, ValueError, TypeError, KeyError, http.client.HTTPException):
            continue
    return found


def without_aws(environment: dict[str, str]) -> dict[str, str]:
    """`environment` without anything that points at an AWS: keys, profiles, endpoints, regions. Pure."""
    return {name: value for name, value in environment.items() if not name.startswith(_OF_AWS)}


def without_proxy(environment: dict[str, str]) -> dict[str, str]:
    """NO_PROXY of `environment` with this machine added, in both spellings, for programs read one of them. Pure."""
    named = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    hosts = ",".join(dict.fromkeys((*filter(None, named.split(",")), "127.0.0.1", "localhost")))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def env_of_shell(local: LocalAws, shell: dict[str, str]) -> dict[str, str | None]:
    """What a shell has to set (a value) and unset (None) so that aws, cdk, boto3 and rerank talk to `local` only. Pure.

    Args:
        shell: its variables. An endpoint of one service, say, would otherwise still go before AWS_ENDPOINT_URL.
    """
    wanted = {**local.env(), "CDK_HOME": str(Home(local.home).cdk)}
    if any(name.lower() in ("http_proxy", "all_proxy") for name in shell):
        wanted |= without_proxy(shell)
    others = {name for name in shell if name.startswith(("AWS_", "AMAZON_")) and name.isidentifier()}
    unset = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", *others} - set(wanted)
    return {**dict.fromkeys(sorted(unset)), **wanted}
