"""Measurements of single parts of the kit, each run as `python -m rerank_ops.bench.<name>`."""
