"""One module per command: `add_parser(subparsers)` declares it, `run(args) -> int` does it.

The modules are imported for `rerank --help`, so what is heavy (torch, boto3, moto) is imported inside `run`.
"""
