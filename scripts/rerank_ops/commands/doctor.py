"""rerank doctor: what is missing for which step, and the remedy."""

import argparse
from collections.abc import Sequence
from typing import Any

from rerank_ops import console
from rerank_ops.aws import Aws, aws_options

EPILOG = """\
Nothing is changed. Without a network or credentials it says what it did not check, and checks the rest.
Profile, region and endpoint are shown with the variable, file or flag that each comes from.
Exit code 1 when something will not work until its remedy is applied; warnings alone exit with 0.

examples:
  rerank doctor                              this machine, and the account your credentials reach
  rerank doctor --deployment production      with the quotas and the image of that deployment
  rerank doctor --local                      the AWS on this machine
"""


def add_parser(subparsers: Any) -> None:
    """Declares the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="check this machine and the account",
        description="Checks what packaging, deploying and running need, and says how to mend what is missing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--deployment", default="sandbox", help="whose quotas and image to check (default: sandbox)")
    console.json_option(parser)
    aws_options(parser)


def run(args: argparse.Namespace) -> int:
    """Runs every check and shows the findings; 1 when one of them failed."""
    from rerank_ops.checks import account, deployment, machine, target
    from rerank_ops.checks.base import Finding, State

    aws = Aws.from_args(args)
    found: list[Finding] = [*machine.findings()]
    read, loaded = deployment.read(args.deployment)
    found += [read, *target.findings(aws), *account.findings(aws, loaded, str(aws.region_in_force().value))]
    if args.json:
        console.emit([finding.as_dict() for finding in found])
    else:
        console.table(("check", "state", "found", "remedy"), [(f.name, f.state, f.found, f.remedy) for f in found])
    failed, doubtful, skipped = (
        [f for f in found if f.state is state] for state in (State.FAIL, State.WARN, State.SKIP)
    )
    if failed:
        console.talk(f"Has to be mended: {_names(failed)}.")
    elif skipped:
        console.talk("Nothing has to be mended in what was checked.")
    else:
        console.talk("Nothing has to be mended.")
    if doubtful:
        console.talk(f"Worth a look: {_names(doubtful)}.")
    for why in dict.fromkeys(f.found for f in skipped):
        of = [f for f in skipped if f.found == why]
        console.talk(f"Not checked: {len(of)} ({_names(of)}), because: {why}.")
    return 1 if failed else 0


def _names(findings: Sequence[Any]) -> str:
    return ", ".join(finding.name for finding in findings)
