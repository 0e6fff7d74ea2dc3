"""Door for our own container and for local runs: `python serve.py` serves /ping, /invocations and more on 8080.

Reads SAGEMAKER_BIND_TO_PORT, SAGEMAKER_BASE_DIR (the model is in `model` below it) and the RERANK_* settings.
Works from any folder and under `python -I`, as it lies in a bundle's code/.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rerank_engine.server.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
