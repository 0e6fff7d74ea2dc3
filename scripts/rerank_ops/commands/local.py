"""rerank local: an AWS on this machine."""

import argparse
import os
import shlex
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rerank_ops import console

EPILOG = """\
examples:
  rerank local up                     start it and bootstrap it for CDK
  rerank local status                 what runs on it
  rerank local logs rerank-sandbox -f follow an endpoint's log
  eval "$(rerank local env)"          point this shell at it: aws, cdk, boto3
  rerank local down                   stop everything

It listens on 127.0.0.1 only, and forgets everything when it stops. It answers the keys that `env` gives for it, so a
shell that still points at another one is refused.

--json writes one value to stdout:
  up      {"endpoint_url", "home", "pid", "port", "region", "started_at", "started": whether this call started it}
  status  {"endpoint_url", "home", "pid", "region", "started_at", "endpoints": […], "transform_jobs": […]}
  logs    [{"path", "lines": […]}, …]
  env     {variable: value}, null for a variable to unset
  down    {"home", "was_running"}
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "local",
        help="an AWS on this machine: up, status, logs, env, down",
        description="An AWS on this machine, without an account: CDK deploys into it, endpoints really answer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start it in the background")
    up.add_argument("--port", type=int, metavar="N", help="port on 127.0.0.1 (default: the first free one from 4510)")
    up.add_argument("--region", default="us-east-1", help="region of its clients (default: us-east-1)")
    up.add_argument("--no-bootstrap", action="store_true", help="leave out `cdk bootstrap`")
    status = verbs.add_parser("status", help="endpoints, processes and jobs")
    logs = verbs.add_parser("logs", help="logs of an endpoint, a transform job, or the server itself")
    logs.add_argument("name", nargs="?", help="endpoint or transform job (default: the server)")
    how = logs.add_mutually_exclusive_group()
    how.add_argument("-f", "--follow", action="store_true", help="go on as lines are added, until Ctrl-C")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="how many of the last lines (50)")
    env = verbs.add_parser("env", help='print variables for the shell: eval "$(rerank local env)"')
    down = verbs.add_parser("down", help="stop it and every model process")
    for verb in (up, status, logs, env, down):
        help_ = "its folder (default: LOCAL_AWS_HOME, or .rerank/local of this project)"
        verb.add_argument("--home", type=Path, metavar="DIR", help=help_)
        console.json_option(how if verb is logs else verb)


def run(args: argparse.Namespace) -> int:
    """Does one verb."""
    from rerank_local.state import Home

    return int(_VERBS[args.verb](args, Home.of(args.home)))


def _up(args: argparse.Namespace, home: Any) -> int:
    from rerank_local import lifecycle
    from rerank_local.state import LocalAws
    from rerank_ops import installation

    installation.require(*lifecycle.NEEDED)
    before = LocalAws.recorded(home)
    local = lifecycle.up(home, say=console.talk, port=args.port, region=args.region, bootstrap=not args.no_bootstrap)
    console.talk('Use it:  --local with every rerank command, or  eval "$(rerank local env)"')
    console.talk("Stop it: rerank local down")
    if args.json:
        console.emit({**asdict(local), "started": local != before})
    return 0


def _down(args: argparse.Namespace, home: Any) -> int:
    from rerank_local import lifecycle

    was_running = lifecycle.down(home, say=console.talk)
    console.talk("Down." if was_running else f"No local AWS was running in {home.folder}.")
    if args.json:
        console.emit({"home": home.folder, "was_running": was_running})
    return 0


def _status(args: argparse.Namespace, home: Any) -> int:
    from rerank_local.state import STATUS_PATH, LocalAws

    local = LocalAws.load(home)
    status = {**local.get(STATUS_PATH), "started_at": local.started_at}
    if args.json:
        console.emit(status)
        return 0
    console.talk(f"{local.endpoint_url} (pid {local.pid}, {local.region}, since {local.started_at})")
    variants = [
        (
            endpoint["name"],
            endpoint["status"],
            item["name"],
            item["weight"],
            item["pid"],
            item["port"],
            item["restarts"],
        )
        for endpoint in status["endpoints"]
        for item in endpoint["variants"] or [dict.fromkeys(("name", "weight", "pid", "port", "restarts"))]
    ]
    console.table(("endpoint", "status", "variant", "weight", "pid", "port", "restarts"), variants)
    jobs = [
        (job["name"], job["status"], f"{job['files_done']}/{job['files_total']}", job["records"], job["failure_reason"])
        for job in status["transform_jobs"]
    ]
    console.table(("transform job", "status", "files", "records", "failure"), jobs)
    return 0


def _logs(args: argparse.Namespace, home: Any) -> int:
    from rerank_local import lifecycle
    from rerank_local.state import LocalAws

    recorded = LocalAws.recorded(home)
    if args.follow or not home.server_log.is_file():
        LocalAws.load(home)  # raises NotFound: nothing will be added, and there is nothing to show
    elif recorded is None or not recorded.is_alive():
        console.warn(f"No local AWS is running in {home.folder}: these lines are of the last one.")
    paths = lifecycle.log_files(home, args.name)
    added = lifecycle.follow(paths, threading.Event()) if args.follow else ()
    shown = {path: lifecycle.tail(path, args.lines) for path in paths}
    if args.json:
        console.emit([{"path": path, "lines": lines} for path, lines in shown.items()])
        return 0
    for path, lines in shown.items():
        if len(paths) > 1:
            console.talk(f"==> {path} <==")
        if not lines:
            console.talk(f"{path} has no lines yet.")
        for line in lines:
            print(line)
    for line in added:
        print(line, flush=True)
    return 0


def _env(args: argparse.Namespace, home: Any) -> int:
    from rerank_local.state import LocalAws, env_of_shell

    variables = env_of_shell(LocalAws.load(home), dict(os.environ))
    if args.json:
        console.emit(variables)
        return 0
    print(f"unset {' '.join(name for name, value in variables.items() if value is None)}")
    for name, value in variables.items():
        if value is not None:
            print(f"export {name}={shlex.quote(value)}")
    return 0


_VERBS = {"up": _up, "status": _status, "logs": _logs, "env": _env, "down": _down}
