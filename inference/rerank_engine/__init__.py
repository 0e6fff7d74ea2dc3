"""The engine: a cross-encoder reranker in plain PyTorch, behind SageMaker's hosting contract."""

import os

# Read once, when PyTorch loads its OpenMP: threads that wait for one another sleep instead of spinning. A server shares
# its few cores with an event loop, tokenizers and neighbours; with two spinning threads on two busy cores, a forward
# pass took 6 to 10 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
