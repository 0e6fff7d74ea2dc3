"""Door for SageMaker's PyTorch training container: runs the command line given as the hyperparameter `arguments`.

Data is in /opt/ml/input/data/train, the state to resume from in /opt/ml/checkpoints, the checkpoint goes to
/opt/ml/model.
"""

import json
import sys
from pathlib import Path

HYPERPARAMETERS = Path("/opt/ml/input/config/hyperparameters.json")


def main(hyperparameters: Path = HYPERPARAMETERS) -> int:
    """Runs `rerank …`; returns its exit code."""
    # The packages lie beside this file when SageMaker unpacked them, and are installed anywhere else.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from rerank_ops.cli import main as rerank

    value = json.loads(json.loads(hyperparameters.read_text(encoding="utf-8"))["arguments"])
    return rerank(json.loads(value) if isinstance(value, str) else value)


if __name__ == "__main__":
    sys.exit(main())
