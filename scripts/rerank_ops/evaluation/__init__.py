"""What `rerank evaluate` and `rerank calibrate` run on and show."""
