"""What `rerank transform` does: requests, input and output in S3, jobs, and the verbs themselves."""
