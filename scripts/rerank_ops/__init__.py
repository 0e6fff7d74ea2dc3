"""The rerank command: package, invoke, transform, measure, train."""
