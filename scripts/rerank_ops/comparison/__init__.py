"""What `rerank compare` does: models side by side, by size, memory, speed and, where there is data, quality."""
