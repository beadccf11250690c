"""What Inspect finds through its entry point: the tasks, the scorers and the model provider ``mst/``.

Every `inspect` command imports this module, so nothing here may import torch.
"""

from inspect_ai.model import ModelAPI, modelapi

from mst_evals.bias import bias, bias_articles, bias_sweep
from mst_evals.scorers import bias_rubric, lexical_bias
from mst_evals.scorers import sycophancy as sycophancy_scorer
from mst_evals.sycophancy import sycophancy, sycophancy_sweep

__all__ = [
    "bias",
    "bias_articles",
    "bias_rubric",
    "bias_sweep",
    "lexical_bias",
    "mst",
    "sycophancy",
    "sycophancy_scorer",
    "sycophancy_sweep",
]


@modelapi(name="mst")
def mst() -> type[ModelAPI]:
    """Adapters of ours on their base: ``--model mst/DIR``."""
    from mst_evals.provider import MstAPI

    return MstAPI
