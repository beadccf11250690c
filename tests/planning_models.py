"""Tiny random bases of both families, and recipes, for the tests of `mst plan`."""

from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from mst_evals.planning import settings
from mst_evals.planning.settings import Training

SIZES = {
    "hidden_size": 128, "intermediate_size": 448, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 320, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
CONFIGS = {
    "llama-tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama-untied-biased": LlamaConfig(**SIZES, tie_word_embeddings=False, attention_bias=True, mlp_bias=True),
    "qwen-tied": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen-untied": Qwen2Config(**SIZES, tie_word_embeddings=False),
}


def saved(folder: Path, config: Any) -> Path:
    """A base with random weights in a directory."""
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def recipe(experiment: str = "bias", **arguments: Any) -> Training:
    return settings.training(experiment, {"lora_r": 8, **arguments}, "recipe.yaml")
