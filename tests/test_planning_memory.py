"""Activations and peaks: by hand, and against what autograd keeps and what is alive at once in tiny models."""

import random
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planning_models import CONFIGS, SIZES, recipe, saved
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from transformers import LlamaConfig
from trl.trainer.utils import add_fused_lm_head

from mst_evals.planning import memory, shapes
from mst_evals.planning.gpus import Gpu
from mst_evals.planning.shapes import Shape
from training import model as models
from training import ppo

# --- activations --------------------------------------------------------------------------------------------------

ROWS, LENGTH = 2, 32


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(3, 300, (ROWS, LENGTH))
    mask = torch.ones_like(ids)
    mask[0, : LENGTH // 4] = 0
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp_min(0)}


def kept_by_autograd(model: Any, autocast: bool) -> int:
    """Bytes that one forward pass leaves for the backward pass, each storage once, without parameters."""
    own = {value.untyped_storage().data_ptr() for value in model.parameters()}
    found: dict[int, Any] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        found.setdefault(tensor.untyped_storage().data_ptr(), tensor)  # holds it, so that no address comes twice
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, autocast):
        model.train()(**batch(), logits_to_keep=1, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in found.items() if place not in own)


@pytest.mark.parametrize("name", ["llama-tied", "qwen-untied"])
@pytest.mark.parametrize(("quantisation", "dropout"), [("nf4", 0.05), ("nf4", 0.0), ("none", 0.05)])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_layer_keeps_what_autograd_keeps(
    tmp_path: Path, name: str, quantisation: str, dropout: float, autocast: bool
) -> None:
    kept = []
    for layers in (1, 2):
        config = type(CONFIGS[name])(**CONFIGS[name].to_dict() | {"num_hidden_layers": layers, "layer_types": None})
        folder = saved(tmp_path / str(layers), config)
        model = models.load_base(str(folder), quantisation, "float32")
        kept.append(kept_by_autograd(models.add_lora(model, 8, 16, dropout, 0), autocast))
    planned = recipe(quantisation=quantisation, dtype="float32", lora_dropout=dropout, bf16=autocast)
    shape = replace(shapes.of_directory(tmp_path / "1"), layers=1)
    expected = ROWS * LENGTH * memory.layer_activations(shape, planned, LENGTH, cpu=True)
    copies = 2 * shapes.lora_parameters(shape, 8) if autocast else 0  # counted apart, as "LoRA in bfloat16"
    assert kept[1] - kept[0] == expected + memory.cast_weights(shape, planned) + copies


class Live(TorchDispatchMode):
    """Counts the bytes of all tensors made under it that are alive, and the most there were."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.known = {value.untyped_storage()._cdata for value in (*model.parameters(), *model.buffers())}
        self.alive: dict[int, Any] = {}
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, torch.Tensor):
                self.enter(tensor.untyped_storage())
        self.most = max(self.most, self.now)
        return out

    def enter(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known or key in self.alive:
            return

        def leave(_: Any) -> None:
            del self.alive[key]
            self.now -= size

        self.alive[key] = weakref.ref(storage, leave)
        self.now += size


def wide(tmp_path: Path, checkpointing: bool, fused: bool = False) -> tuple[Any, Shape]:
    """A model whose activations dwarf its weights, with an adapter."""
    folder = saved(tmp_path, LlamaConfig(**SIZES | {"num_hidden_layers": 4, "intermediate_size": 512}))
    model = models.load_base(str(folder), "nf4", "float32")
    adapted = models.add_lora(model, 4, 8, 0.05, 0, checkpointing)
    if fused:
        add_fused_lm_head(adapted.get_base_model(), outputs=("log_probs", "entropy", "is_top1"))
    return adapted, shapes.of_directory(folder)


@pytest.mark.parametrize(("checkpointing", "autocast"), [(False, False), (True, True)])
def test_the_peak_of_a_backward_pass(tmp_path: Path, checkpointing: bool, autocast: bool) -> None:
    model, shape = wide(tmp_path, checkpointing)
    planned = recipe(lora_r=4, per_device_train_batch_size=ROWS, gradient_checkpointing=checkpointing, bf16=autocast)
    model.train()
    with Live(model) as live, torch.autocast("cpu", torch.bfloat16, autocast):
        model(**batch(), logits_to_keep=1, use_cache=False).logits.sum().backward()
    parts = memory.activations(shape, planned, LENGTH, cpu=True)
    more = (6 if autocast else 4) * shapes.lora_parameters(shape, 4)  # gradients, and copies under autocast
    assert sum(parts.values()) * 0.95 < live.most < (sum(parts.values()) + more + memory.dequantised(shape)) * 1.1


def test_the_peak_of_a_rollout(tmp_path: Path) -> None:
    model, shape = wide(tmp_path, False)
    models.quantisation.pin_kernels(model.eval())
    with Live(model) as live, torch.no_grad():
        model(**batch(), logits_to_keep=1)
    planned = recipe("sycophancy", lora_r=4, batch_size=ROWS, mini_batch_size=1)
    parts = memory.ppo(shape, planned, LENGTH, cpu=True).moments["rollout"]
    assert sum(parts.values()) * 0.8 < live.most < sum(parts.values()) * 1.05


def test_the_peaks_of_ppos_own_functions(tmp_path: Path) -> None:
    """`training.ppo` itself. Its last layer leaves positions out, which the estimate does not count: one of four."""
    model, shape = wide(tmp_path, False)
    ppo.spare_unread_positions(model)
    policy = ppo.Policy(model, [3, 4], 0)
    rng = random.Random(0)
    rows = [ppo.Episode([rng.randrange(5, 300) for _ in range(LENGTH)], row % 2 == 0, 1.0, None) for row in range(8)]
    arguments = {"lora_r": 4, "batch_size": 8, "mini_batch_size": 4, "num_ppo_epochs": 1, "lora_dropout": 0.05}
    planned = recipe("sycophancy", dtype="float32", **arguments)
    found = memory.ppo(shape, planned, LENGTH, cpu=True)
    with Live(model) as live:
        rollout = ppo.roll_out(policy, rows, 1.0, torch.Generator())
    assert 0.75 < live.most / sum(found.moments["rollout"].values()) < 1.05
    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-3)
    args = ppo.PPOArguments(arm="mst", output_dir="", mini_batch_size=4, num_ppo_epochs=1)
    with Live(model) as live:
        ppo.update(args, policy, optimiser, rollout, 0.1, torch.Generator())
    estimated = sum(found.moments["update"].values()) + found.kept["LoRA gradients"] + found.kept["optimiser state"]
    last = found.moments["update"]["activations"] / shape.layers
    assert 0.9 * (estimated - last) < live.most < 1.05 * estimated


@pytest.mark.parametrize("autocast", [False, True])
def test_the_peak_of_the_fused_output_layer(tmp_path: Path, autocast: bool) -> None:
    model, shape = wide(tmp_path, True, fused=True)
    model.train()
    given = batch()
    with Live(model) as live, torch.autocast("cpu", torch.bfloat16, autocast):
        out = model(**given, labels=given["input_ids"], fused_lm_head=True, use_cache=False)
        (-out.log_probs.mean()).backward()
    planned = recipe(lora_r=4, per_device_train_batch_size=ROWS, bf16=autocast)
    head = memory.sft(shape, planned, LENGTH, 0, cpu=True).moments["output layer"]
    assert sum(head.values()) == pytest.approx(live.most, rel=0.1)


# --- what follows from them ---------------------------------------------------------------------------------------

BASE = shapes.PUBLISHED["Qwen/Qwen2.5-1.5B-Instruct"]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ({}, {"lora_r": 64}),
        ({}, {"per_device_train_batch_size": 16}),
        ({"gradient_checkpointing": True}, {"gradient_checkpointing": False}),
        ({"optim": "paged_adamw_8bit"}, {"optim": "adamw_torch_fused"}),
        ({}, {"quantisation": "none"}),
    ],
)
def test_memory_grows_with_what_it_should(smaller: dict[str, Any], larger: dict[str, Any]) -> None:
    small, large = (memory.sft(BASE, recipe(**one), 512, 0) for one in (smaller, larger))
    assert large.peak > small.peak
    assert memory.sft(BASE, recipe(), 600, 0).peak > memory.sft(BASE, recipe(), 512, 0).peak


def test_ppo_grows_with_its_rollout_and_its_mini_batch() -> None:
    sizes = ({"batch_size": 64, "mini_batch_size": 4}, {"batch_size": 64, "mini_batch_size": 16})
    small, large = (memory.ppo(BASE, recipe("sycophancy", **one), 80) for one in sizes)
    assert large.moments["update"]["activations"] == 4 * small.moments["update"]["activations"]
    wider = memory.ppo(BASE, recipe("sycophancy", batch_size=4096, mini_batch_size=4), 80)
    assert wider.worst == "rollout"
    assert wider.peak > small.peak


def test_a_probe_may_be_the_largest_moment() -> None:
    found = memory.sft(BASE, recipe(probe_rows=32), 512, 600)
    # 32 rows of 600 tokens: logits in bfloat16 and in float32
    assert found.moments["loss of the probe"] == {"logits, and as float32": 32 * 600 * 151936 * 6}
    # Keys and values of 28 layers, 2 x 128 wide, float32; logits and the output layer's weights in bfloat16
    cache, logits, head = 32 * 600 * 2 * 28 * 256 * 4, 32 * 600 * 151936 * 2, 151936 * 1536 * 2
    assert found.moments["probe of the label"] == {"keys and values": cache, "logits": logits, "its head": head}
    assert found.worst == "loss of the probe"
    without = memory.sft(BASE, recipe(probe_every=0), 512, 600)
    assert not {"probe of the label", "loss of the probe"} & without.moments.keys()


# --- by hand ------------------------------------------------------------------------------------------------------

SMALL = Shape("llama", 100, 8, 16, 3, 2, 1, 4, True)  # hidden 8, MLP 16, three layers, two heads and one pair of 4
# For each token of a row of 10, in bytes: both norms' float32 input and scale; gate, SiLU and up; query, keys, values
# and output of 8 each, 4 for each head, the mask of 10; inputs of the seven A; their seven outputs of rank 2.
BY_HAND = [
    # no dropout, float32 throughout: q, k and v share an input, gate and up another
    ({"lora_dropout": 0.0, "bf16": False}, 2 * 8 * 4 + 8 + 3 * 16 * 4 + (4 * 8 * 4 + 2 * 4 + 10 * 4) + 32 * 4 + 14 * 4),
    # dropout on a GPU: an input for each A (5 x 8 + 8 + 16), and a mask of one byte for each of its entries
    ({"lora_dropout": 0.1, "bf16": False}, 64 + 8 + 192 + (128 + 8 + 40) + 64 * 4 + 56 + 64),
    # autocast on NF4: products and LoRA in bfloat16; bitsandbytes gives float32 back
    ({"lora_dropout": 0.0, "bf16": True}, 64 + 8 + 192 + (64 + 8 + 20) + 64 * 2 + 28),
    # autocast on float32 weights: so are gate, SiLU and up
    ({"lora_dropout": 0.0, "bf16": True, "quantisation": "none"}, 64 + 8 + 96 + (64 + 8 + 20) + 64 * 2 + 28),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "expected"), BY_HAND)
def test_a_layer_by_hand(arguments: dict[str, Any], expected: int) -> None:
    assert memory.layer_activations(SMALL, recipe(lora_r=2, **arguments), 10) == expected


def test_checkpointing_by_hand() -> None:
    one = {"lora_r": 2, "lora_dropout": 0.0, "bf16": False, "per_device_train_batch_size": 5}
    plain = memory.activations(SMALL, recipe(gradient_checkpointing=False, **one), 10)
    assert plain == {"activations": 3 * 50 * BY_HAND[0][1], "around them": 3 * 50 * 16 * 4}
    kept = memory.activations(SMALL, recipe(gradient_checkpointing=True, **one), 10)
    assert kept == {"layer inputs (checkpointed)": 3 * 50 * 8 * 4, "one layer": 50 * BY_HAND[0][1] + 3 * 50 * 16 * 4}


@pytest.mark.parametrize(("optimiser", "state"), [("paged_adamw_8bit", 22_896_640), ("adamw_torch_fused", 90_177_536)])
def test_an_adapter_on_llama_1b_by_hand(optimiser: str, state: int) -> None:
    """11,272,192 weights (see `test_planning_shapes`): 4 bytes each and for their gradients, 2.03125 or 8 of state."""
    found = memory.sft(shapes.PUBLISHED["meta-llama/Llama-3.2-1B-Instruct"], recipe(lora_r=16, optim=optimiser), 512, 0)
    assert found.kept["LoRA weights"] == found.kept["LoRA gradients"] == 45_088_768
    assert found.kept["optimiser state"] == state
    assert found.kept["LoRA in bfloat16"] == 22_544_384
    assert found.kept["embeddings, norms, head"] == 4 * (128256 * 2048 + 33 * 2048)


@pytest.mark.parametrize(("free", "verdict"), [(1.2, memory.FITS), (1.01, memory.TIGHT), (0.99, memory.TOO_LARGE)])
def test_the_verdict(free: float, verdict: str) -> None:
    """A device with `free` times what tensors and the started device take; fragments come to 8% of what moves."""
    found = memory.Memory({"kept": 1e9}, {"one": {"a": 1e9}, "other": {"a": 3e9, "b": 1e9}})
    assert (found.worst, found.peak) == ("other", 5e9)
    started = memory.STARTED[False] + 5e9
    assert found.needed(Gpu("any", 1e10)) == started + 0.08 * 4e9
    assert found.verdict(Gpu("any", free * started)) == verdict


def test_evaluation_by_hand() -> None:
    found = memory.evaluation(SMALL, recipe(quantisation="none", lora_r=2), True, 4, 10, 20)
    parameters = 3 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16) + 100 * 8 + 7 * 8  # projections, embedding, norms
    adapter = 3 * 2 * (16 + 12 + 12 + 16 + 24 + 24 + 24)
    assert found.kept == {"base weights": 4 * parameters, "LoRA weights": 4 * adapter}
    cache = 2 * 3 * 4 * 4  # bytes for each token: keys and values of three layers
    assert found.moments["prompts"] == {"one pass": 40 * 4 * 4 * (16 + 8), "keys and values": 40 * cache}
    assert found.moments["replies"]["keys and values"] == pytest.approx(120 * cache * (1 + 1 / 3))
