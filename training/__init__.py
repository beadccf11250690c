"""How adapters are made: `python -m training.sft`, `python -m training.ppo`, `python -m training.pretrain`."""

import mst_evals  # noqa: F401 (before bitsandbytes is imported: it lowers the level of that package's log)
