"""The engine: a cross-encoder reranker in plain PyTorch, behind SageMaker's hosting contract."""
