"""Distillation, fine-tuning and retrieval evaluation of rerankers."""
