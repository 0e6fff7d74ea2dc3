"""The `rerank` command: finds the commands, runs one, turns errors into ERROR and TIP.

Exit codes: 0 done, 1 it failed (the reason is on stderr), 2 wrong usage, 130 interrupted.
"""

import argparse
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from rerank_ops import commands, console
from rerank_ops.explaining import explain

# In the order of the road: run a model, choose one, make one, look after the machine. All others come after these.
ORDER = (
    *("demo", "package", "verify", "serve", "local", "invoke", "transform"),
    *("compare", "evaluate", "calibrate", "bench"),
    *("distill", "finetune", "train"),
    *("doctor", "settings"),
)

EXAMPLES = """\
examples:
  rerank package jinaai/jina-reranker-v1-tiny-en --revision SHA   a model.tar.gz from the hub
  rerank serve dist/model.tar.gz                                  its server on this machine
  rerank local up                                                 an AWS on this machine
  rerank invoke --deployment sandbox --query "…" doc1 doc2        ask the endpoint
  rerank transform start --deployment sandbox requests.jsonl      rerank a file in S3
  rerank evaluate COLLECTION --model dist/model.tar.gz            how well it ranks your data
  rerank doctor                                                   what is missing, and the remedy
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises, but for argparse's own exit on wrong usage."""
    modules = discover()
    args = build_parser(modules).parse_args(argv)
    try:
        code = int(modules[args.command].run(args))
        sys.stdout.flush()  # a reader that went away (rerank … | head) is noticed here, not at exit
        return code
    except KeyboardInterrupt:
        console.talk("Interrupted.")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _fail(error, args.command, debug=args.debug)


def discover() -> dict[str, ModuleType]:
    """The command modules that are there, by command name, in the order of the road."""
    found = sorted(entry.name for entry in pkgutil.iter_modules(commands.__path__) if not entry.name.startswith("_"))
    ranked = sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return {name.replace("_", "-"): importlib.import_module(f"{commands.__name__}.{name}") for name in ranked}


def build_parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    """The parser of `rerank`; every command, nested ones too, takes --debug."""
    parser = argparse.ArgumentParser(
        prog="rerank",
        description="Run your own reranker on AWS SageMaker, or on the AWS on this machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rerank {version()}")
    parser.set_defaults(debug=False)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in modules.values():
        module.add_parser(subparsers)
    _debug_everywhere(parser)
    return parser


def version() -> str:
    """The installed version of the kit."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("sagemaker-rerank-kit")
    except PackageNotFoundError:
        return "(not installed)"


def _debug_everywhere(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in set(action.choices.values()):
                _debug_everywhere(child)


def _fail(error: Exception, command: str, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    explained = explain(error, command)
    if explained is None:
        console.error(f"Unexpected {type(error).__name__}: {error}", None if debug else "--debug shows the traceback.")
        return 1
    problems = getattr(error, "problems", ())  # a deployment file's: every one is named
    for problem in problems:
        console.error(f"{explained.message}: {problem}", problem.tip)
    if not problems:
        console.error(explained.message, explained.tip)
    return explained.exit_code


if __name__ == "__main__":
    sys.exit(main())
