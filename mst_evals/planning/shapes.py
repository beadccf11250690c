"""The shape of a base: what its ``config.json`` says, and how many parameters of each kind that makes.

A shape comes from a directory's ``config.json``, from that of a hub id in the local hub cache, or from a table of
published facts for hub ids that are not here. Nothing is downloaded.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mst_evals.errors import InputError
from mst_evals.studies.study_file import nearest

FAMILIES = ("llama", "qwen2")
# bitsandbytes 0.50.2: 4-bit blocks of 64 weights (nn/modules.py, Params4bit), their scales in blocks of 256 once they
# are quantised too (functional.py, quantize_4bit).
NF4_BLOCK, SCALE_BLOCK = 64, 256
NF4_CODE, SCALE_CODE = 16, 256  # float32 entries of the two code books, kept with every layer


@dataclass(frozen=True)
class Shape:
    """A decoder of the Llama or Qwen2 kind.

    Attributes:
        family: ``llama`` or ``qwen2``.
        vocabulary: Rows of the embedding.
        hidden: Width of the residual stream.
        intermediate: Width of the MLP.
        layers: Number of layers.
        heads: Query heads.
        kv_heads: Key and value heads.
        head_dim: Width of a head.
        tied: Whether the output layer is the embedding.
        biased: Names of the projections that have a bias.
    """

    family: str
    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool
    biased: tuple[str, ...] = ()

    @property
    def query(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def key(self) -> int:
        """Width of all key heads together, and of all value heads."""
        return self.kv_heads * self.head_dim

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of the linear layers of one decoder layer: those that NF4 quantises and LoRA adapts."""
        return {
            "q_proj": (self.hidden, self.query),
            "k_proj": (self.hidden, self.key),
            "v_proj": (self.hidden, self.key),
            "o_proj": (self.query, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }


@dataclass(frozen=True)
class Counts:
    """Parameters by kind.

    Attributes:
        linear: Weights of the projections.
        biases: Their biases.
        embedding: Input embedding.
        head: Output layer, 0 when it is the embedding.
        norms: Weights of the RMS norms, two a layer and a last one.
    """

    linear: int
    biases: int
    embedding: int
    head: int
    norms: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.linear + self.unquantised

    @property
    def unquantised(self) -> int:
        """What NF4 leaves alone. The output layer is left alone too (transformers, get_keys_to_not_convert)."""
        return self.biases + self.embedding + self.head + self.norms


def counts(shape: Shape) -> Counts:
    """Parameters of a base by kind."""
    sizes = shape.projections
    return Counts(
        linear=shape.layers * sum(inputs * outputs for inputs, outputs in sizes.values()),
        biases=shape.layers * sum(sizes[name][1] for name in shape.biased),
        embedding=shape.vocabulary * shape.hidden,
        head=0 if shape.tied else shape.vocabulary * shape.hidden,
        norms=shape.hidden * (2 * shape.layers + 1),
    )


def lora_parameters(shape: Shape, rank: int) -> int:
    """Weights of a LoRA adapter on all projections: A (rank, inputs), B (outputs, rank) of each (arXiv 2106.09685)."""
    return shape.layers * rank * sum(inputs + outputs for inputs, outputs in shape.projections.values())


def nf4_bytes(shape: Shape) -> int:
    """Bytes of all projections in NF4 with double quantisation (arXiv 2305.14314, section 3).

    Two weights a byte, one byte for the scale of each block, one float32 for the scale of each block of scales, a
    float32 offset, and the two code books.
    """
    return shape.layers * sum(_nf4_layer(inputs * outputs) for inputs, outputs in shape.projections.values())


def _nf4_layer(weights: int) -> int:
    blocks = math.ceil(weights / NF4_BLOCK)
    return math.ceil(weights / 2) + blocks + 4 * (math.ceil(blocks / SCALE_BLOCK) + 1 + NF4_CODE + SCALE_CODE)


# --- where a shape comes from -------------------------------------------------------------------------------------

_QWEN2 = ("q_proj", "k_proj", "v_proj")  # of these alone: transformers, models/qwen2/modeling_qwen2.py


def _llama(layers: int, hidden: int, intermediate: int, heads: int, kv_heads: int, head_dim: int, words: int) -> Shape:
    return Shape("llama", words, hidden, intermediate, layers, heads, kv_heads, head_dim, True)


def _qwen(layers: int, hidden: int, intermediate: int, heads: int, kv_heads: int, words: int, tied: bool) -> Shape:
    return Shape("qwen2", words, hidden, intermediate, layers, heads, kv_heads, hidden // heads, tied, _QWEN2)


# The config.json of each repository on huggingface.co. The tests compare the parameters these make with the totals
# that the same pages state for the weight files.
PUBLISHED = {
    "meta-llama/Llama-3.2-1B-Instruct": _llama(16, 2048, 8192, 32, 8, 64, 128256),
    "meta-llama/Llama-3.2-3B-Instruct": _llama(28, 3072, 8192, 24, 8, 128, 128256),
    "HuggingFaceTB/SmolLM2-135M-Instruct": _llama(30, 576, 1536, 9, 3, 64, 49152),
    "HuggingFaceTB/SmolLM2-360M-Instruct": _llama(32, 960, 2560, 15, 5, 64, 49152),
    "Qwen/Qwen2.5-0.5B-Instruct": _qwen(24, 896, 4864, 14, 2, 151936, True),
    "Qwen/Qwen2.5-1.5B-Instruct": _qwen(28, 1536, 8960, 12, 2, 151936, True),
    "Qwen/Qwen2.5-3B-Instruct": _qwen(36, 2048, 11008, 16, 2, 151936, True),
    "Qwen/Qwen2.5-7B-Instruct": _qwen(28, 3584, 18944, 28, 4, 152064, False),
}


def of_directory(directory: Path) -> Shape:
    """The shape that a directory's ``config.json`` states.

    Raises:
        InputError: The file cannot be read, lacks a field, or is of a family that is not planned for.
    """
    return _of_file(directory / "config.json")


def of_hub(base: str) -> Shape:
    """The shape of a hub id: of its ``config.json`` in the local hub cache, else as published.

    Raises:
        InputError: Neither is here; the message says how to give one.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(base, "config.json")
    if isinstance(cached, str):
        return _of_file(Path(cached))
    if base not in PUBLISHED:
        raise InputError(
            f"base {base!r}: its shape is not known here{nearest(base, list(PUBLISHED))}; fetch its configuration "
            f"alone with `hf download {base} config.json`, or name a directory that holds its config.json as the base"
        )
    return PUBLISHED[base]


def _of_file(path: Path) -> Shape:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: found {type(config).__name__}, expected a JSON object")
    family = config.get("model_type")
    if family not in FAMILIES:
        raise InputError(f"{path}: model_type is {family!r}, expected one of {', '.join(FAMILIES)}")
    hidden, heads = _whole(config, "hidden_size", path), _whole(config, "num_attention_heads", path)
    biased: tuple[str, ...] = _QWEN2
    if family == "llama":
        attention = ("q_proj", "k_proj", "v_proj", "o_proj") if config.get("attention_bias") else ()
        biased = attention + (("gate_proj", "up_proj", "down_proj") if config.get("mlp_bias") else ())
    return Shape(
        family=family,
        vocabulary=_whole(config, "vocab_size", path),
        hidden=hidden,
        intermediate=_whole(config, "intermediate_size", path),
        layers=_whole(config, "num_hidden_layers", path),
        heads=heads,
        kv_heads=_whole(config, "num_key_value_heads", path, heads),
        head_dim=_whole(config, "head_dim", path, hidden // heads),
        tied=bool(config.get("tie_word_embeddings", False)),  # the default of both families
        biased=biased,
    )


def _whole(config: Mapping[str, Any], name: str, path: Path, default: int | None = None) -> int:
    value = config.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{path}: {name} is {config.get(name)!r}, expected a whole number of at least 1")
    return value
