"""What `rerank doctor` looks at: this machine, the account, the deployment's quotas and image."""
