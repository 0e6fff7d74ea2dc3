"""The model wing around the models: texts become token ids, and logits become a ranking. `engine` is its front."""
