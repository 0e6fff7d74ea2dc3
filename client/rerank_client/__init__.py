"""A boto3 client for rerank endpoints."""
