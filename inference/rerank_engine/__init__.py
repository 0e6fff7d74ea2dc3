"""The engine: a cross-encoder reranker in plain PyTorch, behind SageMaker's hosting contract."""

import os

# Read once, when PyTorch loads its OpenMP: threads that wait for one another spin for some microseconds, then sleep. A
# server shares its few cores with an event loop, tokenizers and neighbours; with two threads spinning on two busy cores
# a forward pass took 6 to 10 times as long. Sleeping at once costs a wake-up per operation: a third of a pass in bf16.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # of GNU's OpenMP, which PyTorch comes with on Linux

# Read as early: how many compiled kernels oneDNN keeps, and PyTorch's binding to it once more. A kernel is made for
# every new shape and takes 0.5 MB; with the defaults, 1,024 each, the memory of a server whose requests are ever of
# other lengths grows for hours. 256 hold those that a forward pass of mixed lengths goes back to.
for _name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_name, "256")
