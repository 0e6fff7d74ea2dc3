"""Batch transform jobs: from objects in S3 to records, through a model process, and back."""
