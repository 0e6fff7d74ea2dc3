"""The rerank command: package, deploy locally, invoke, transform."""
