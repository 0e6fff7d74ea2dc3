"""CDK constructs and stacks that provision rerank endpoints."""
