"""Parameters, quantised bytes and optimiser state: by hand, and against torch, peft and bitsandbytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from planning_models import CONFIGS, recipe, saved
from transformers import AutoModelForCausalLM

from mst_evals.errors import InputError
from mst_evals.planning import memory, settings, shapes
from mst_evals.planning.shapes import Shape
from training import model as models

# --- counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_counts_are_those_of_the_torch_model(tmp_path: Path, name: str) -> None:
    CONFIGS[name].save_pretrained(tmp_path)
    shape = shapes.of_directory(tmp_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIGS[name])
    model.tie_weights()
    kinds = {"linear": 0, "biases": 0, "embedding": 0, "head": 0, "norms": 0}
    for parameter, value in model.named_parameters():
        names = {"embed_tokens": "embedding", "lm_head": "head", "norm": "norms", "bias": "biases"}
        kinds[next((kind for part, kind in names.items() if part in parameter), "linear")] += value.numel()
    found = shapes.counts(shape)
    assert {kind: getattr(found, kind) for kind in kinds} == kinds
    assert found.total == model.num_parameters()
    adapted = models.add_lora(AutoModelForCausalLM.from_config(CONFIGS[name]), 8, 16, 0.0, 0)
    assert shapes.lora_parameters(shape, 8) == adapted.get_nb_trainable_parameters()[0]


# Totals that the pages of the weights state on huggingface.co.
@pytest.mark.parametrize(
    ("base", "total"),
    [
        ("meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400), ("meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008), ("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120),
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768), ("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304),
        ("Qwen/Qwen2.5-3B-Instruct", 3_085_938_688), ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
    ],
)  # fmt: skip
def test_published_shapes_make_the_published_totals(base: str, total: int) -> None:
    assert shapes.counts(shapes.PUBLISHED[base]).total == total


def test_a_hub_id_in_the_local_cache_is_read_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CONFIGS["qwen-tied"].save_pretrained(tmp_path)
    found = {"owner/cached": str(tmp_path / "config.json"), "owner/absent": None}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda base, file: found.get(base))
    assert shapes.of_hub("owner/cached") == shapes.of_directory(tmp_path)
    with pytest.raises(InputError, match=r"hf download owner/absent config\.json"):
        shapes.of_hub("owner/absent")
    with pytest.raises(InputError, match=r"did you mean 'Qwen/Qwen2\.5-7B-Instruct'"):
        shapes.of_hub("Qwen/Qwen2.5-7B")


GOOD = {
    "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 9, "intermediate_size": 16,
    "num_hidden_layers": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2', expected one of llama, qwen2"),
        ({"model_type": None}, "model_type is None"),
        ({"hidden_size": None}, "hidden_size is None, expected a whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"vocab_size": "9"}, "vocab_size is '9'"),
        ({"num_key_value_heads": True}, "num_key_value_heads is True"),
    ],
)
def test_bad_configurations(tmp_path: Path, change: Mapping[str, Any], said: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GOOD | dict(change)), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        shapes.of_directory(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: {said}")


def test_configurations_that_are_none_and_defaults(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        shapes.of_directory(tmp_path)
    (tmp_path / "config.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(InputError, match="found list, expected a JSON object"):
        shapes.of_directory(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not JSON"):
        shapes.of_directory(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(GOOD), encoding="utf-8")
    assert shapes.of_directory(tmp_path) == Shape("llama", 9, 8, 16, 1, 2, 2, 4, False)


# --- weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama-tied", "qwen-untied"])
def test_nf4_and_the_rest_take_as_many_bytes_as_in_training(tmp_path: Path, name: str) -> None:
    shape = shapes.of_directory(saved(tmp_path, CONFIGS[name]))
    model = models.load_base(str(tmp_path), "nf4", "bfloat16")
    packed = [module.weight for module in model.modules() if isinstance(module, bnb.nn.Linear4bit)]
    assert len(packed) == 7 * shape.layers
    total = 0
    for weight in packed:
        state = weight.quant_state
        parts = (weight, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code)
        total += sum(part.untyped_storage().nbytes() for part in parts)
    assert shapes.nf4_bytes(shape) == total
    rest = [value for value in model.parameters() if not isinstance(value, bnb.nn.Params4bit)]
    loaded = memory.weights(shape, "nf4", "bfloat16", trained=False)
    assert loaded["embeddings, norms, head"] == sum(value.nbytes for value in rest)
    adapted = models.add_lora(model, 8, 16, 0.0, 0)
    rest = [
        value for value in adapted.parameters() if not isinstance(value, bnb.nn.Params4bit) and not value.requires_grad
    ]
    trained = memory.weights(shape, "nf4", "bfloat16", trained=True)
    assert trained["embeddings, norms, head"] == sum(value.nbytes for value in rest)
    lora = sum(value.nbytes for value in adapted.parameters() if value.requires_grad)
    assert memory.sft(shape, recipe(), 16, 0).kept["LoRA weights"] == lora


def test_unquantised_weights_take_the_bytes_of_their_type() -> None:
    shape = shapes.PUBLISHED["HuggingFaceTB/SmolLM2-135M-Instruct"]
    assert memory.weights(shape, "none", "float32", trained=True) == {"base weights": 4 * 134_515_008}
    assert memory.weights(shape, "none", "bfloat16", trained=True) == {"base weights": 2 * 134_515_008}


@pytest.mark.parametrize(
    ("name", "make"), [("adamw_torch", torch.optim.AdamW), ("adamw_bnb_8bit", bnb.optim.AdamW8bit)]
)
def test_optimiser_state(name: str, make: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(64, 256))
    optimiser = make([weight], lr=0.1)
    weight.grad = torch.ones_like(weight)
    optimiser.step()
    state = {key: value for key, value in optimiser.state[weight].items() if isinstance(value, torch.Tensor)}
    held = sum(value.nbytes for key, value in state.items() if key != "step" and not key.startswith("qmap"))
    assert settings.OPTIMISERS[name] * weight.numel() == held


# --- by hand ------------------------------------------------------------------------------------------------------


def test_nf4_by_hand() -> None:
    """Projections of one layer, hidden 64, MLP 128, one head of 64, all pairs: 4 of 64 x 64, 3 of 64 x 128."""
    shape = Shape("llama", 9, 64, 128, 1, 1, 1, 64, True)
    square = 2048 + 64 + 4 * (1 + 1 + 16 + 256)  # half a byte, a scale for 64, one for 256 of them, offset, code books
    wide = 4096 + 128 + 4 * (1 + 1 + 16 + 256)
    assert shapes.nf4_bytes(shape) == 4 * square + 3 * wide


def test_nf4_takes_about_half_a_byte_a_weight_of_a_real_base() -> None:
    """arXiv 2305.14314, section 3: 4 bits, and 8 / 64 + 32 / (64 x 256) = 0.127 bits for the scales."""
    shape = shapes.PUBLISHED["Qwen/Qwen2.5-7B-Instruct"]
    assert 8 * shapes.nf4_bytes(shape) / shapes.counts(shape).linear == pytest.approx(4.127, abs=0.001)


def test_lora_by_hand() -> None:
    """Llama-3.2-1B, rank 16: inputs and outputs of q, k, v, o, gate, up, down in each of 16 layers."""
    ends = (2048 + 2048) + 2 * (2048 + 512) + (2048 + 2048) + 3 * (2048 + 8192)
    assert shapes.lora_parameters(shapes.PUBLISHED["meta-llama/Llama-3.2-1B-Instruct"], 16) == 16 * 16 * ends
