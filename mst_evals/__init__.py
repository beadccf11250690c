"""mst-evals: an evaluation harness for Monitor Sensitive Training (MST)."""

import logging

__version__ = "0.1.0"

# At every import bitsandbytes reports that an optional faster CPU kernel is not installed; nothing here depends on it.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
