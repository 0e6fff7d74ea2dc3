"""`cdk` runs this: one deployment's stacks, chosen with `-c deployment=NAME`."""

import sys
from pathlib import Path


def main() -> int:
    """Synthesises into the folder the CDK CLI names; 0 when it did, 1 with ERROR and TIP lines on stderr."""
    try:
        import aws_cdk as cdk

        from rerank_infra import assembly
        from rerank_infra.errors import DeploymentError
    except ModuleNotFoundError as error:
        print(f"ERROR {sys.executable} has no module {error.name}.", file=sys.stderr)
        print("TIP Put the virtual environment first on PATH: . .venv/bin/activate", file=sys.stderr)
        return 1
    app = cdk.App(analytics_reporting=False)
    try:
        assembly.from_context(app, root=Path(__file__).resolve().parents[1])
    except DeploymentError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return 1
    try:
        app.synth()
    except RuntimeError as error:  # what the CDK's JavaScript throws; the findings are printed already
        print(f"ERROR {error}", file=sys.stderr)
        print("TIP Each finding above names its construct. Mend it, or acknowledge it with a reason.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
