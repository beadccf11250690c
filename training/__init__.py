"""How adapters are made: `python -m training.sft`, `python -m training.ppo`, `python -m training.pretrain`."""

import logging

# At every import bitsandbytes reports that an optional faster CPU kernel is not installed; nothing depends on it.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
