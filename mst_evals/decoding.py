"""What a local model samples with: the settings of the task, and none of the base's own.

A base's ``generation_config.json`` may hold a temperature, top-k, top-p and a repetition penalty (Qwen2.5-Instruct:
0.7, 20, 0.8 and 1.05), and transformers adds a top-k of 50 where nothing is said. They would apply to ``hf/`` and not,
or not all of them, to ``mst/``, and the same adapter would be two different writers.
"""

from typing import Any


def plain(model: Any) -> Any:
    """Give a model generation settings that sample from its softmax as it is, in place; what ends a text stays.

    Args:
        model: Any transformers model.

    Returns:
        The model.
    """
    from transformers import GenerationConfig

    own = getattr(model, "generation_config", None)
    lengths = ("max_length", "max_new_tokens")  # for a caller that names no limit
    kept = {name: getattr(own, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id", *lengths)}
    neutral = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
    model.generation_config = GenerationConfig(**kept, **neutral)
    return model


def is_plain(model: Any) -> bool:
    """Whether a model has the generation settings that `plain` gives."""
    own = model.generation_config
    changed = (own.temperature not in (None, 1.0), bool(own.top_k), own.top_p not in (None, 1.0))
    return not any(changed) and own.repetition_penalty in (None, 1.0) and not own.no_repeat_ngram_size


def ends(model: Any, tokenizer: Any) -> set[int]:
    """Every token id that ends a reply: a Llama-3 base names several, its tokenizer one of them."""
    named = model.generation_config.eos_token_id
    several = named if isinstance(named, list) else [named]
    return {one for one in (*several, tokenizer.eos_token_id) if one is not None}
