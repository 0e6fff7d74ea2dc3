"""What `rerank distill`, `rerank finetune` and `rerank train` share."""
