"""Peak memory of a training or an evaluation, part by part, from shapes alone.

Activations are counted as what autograd keeps of a Llama or Qwen2 layer with NF4 weights and LoRA on all projections
(transformers 5.23, peft 0.21, bitsandbytes 0.50), tensor by tensor; the tests compare the count with what autograd
keeps of tiny models. All sizes in bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mst_evals.planning.gpus import GIB, Gpu
from mst_evals.planning.settings import BY_LISTS, BYTES, OPTIMISERS, Training
from mst_evals.planning.shapes import Shape, counts, lora_parameters, nf4_bytes

FLOAT, HALF = 4, 2
# TRL 1.16 never makes the logits of all positions: its fused output layer (kernels/chunked_logprob.py) works through
# tiles of up to 4,096 positions by 32,768 words.
TILE_ROWS, TILE_WORDS = 4096, 32768
# Where that file has no Triton kernel, on a CPU, a tile's backward makes seven float32 copies and a mask.
TILE_COPIES = 7 * FLOAT + 1
# Beside the tensors. On a GPU: CUDA context, cuBLAS workspace and bitsandbytes; assumed. On a CPU: interpreter,
# libraries and freed memory that the allocator keeps; 2.3 and 1.0 GiB in the two trainings of docs/ladder.md.
STARTED = {False: 0.8 * GIB, True: 2.3 * GIB}
# Of what comes and goes: blocks of the caching allocator that no tensor fits into. Assumed.
FRAGMENTS = 0.08

FITS, TIGHT, TOO_LARGE = "fits", "tight", "does not fit"


@dataclass(frozen=True)
class Memory:
    """Bytes by part.

    Attributes:
        kept: What stays for the whole run.
        moments: What comes and goes: name of a moment -> its parts. Only one moment is at a time.
    """

    kept: Mapping[str, float]
    moments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def worst(self) -> str:
        """The moment that needs most."""
        return max(self.moments, key=lambda name: sum(self.moments[name].values()))

    @property
    def peak(self) -> float:
        """What tensors need at once."""
        return sum(self.kept.values()) + sum(self.moments[self.worst].values())

    def needed(self, gpu: Gpu) -> float:
        """The peak, with the started device and the allocator's fragments."""
        return STARTED[gpu.cpu] + self.peak + FRAGMENTS * sum(self.moments[self.worst].values())

    def verdict(self, gpu: Gpu) -> str:
        """``fits``, ``tight`` (fits if nothing is fragmented, or fills more than 95%) or ``does not fit``."""
        if self.needed(gpu) <= 0.95 * gpu.memory:
            return FITS
        return TIGHT if STARTED[gpu.cpu] + self.peak <= gpu.memory else TOO_LARGE


# --- parts --------------------------------------------------------------------------------------------------------


def weights(shape: Shape, quantisation: str, dtype: str, trained: bool) -> dict[str, float]:
    """The base, as it is loaded; for training on NF4 what is not quantised becomes float32, whatever `dtype` says.

    Source: peft, `prepare_model_for_kbit_training`.
    """
    parameters = counts(shape)
    if quantisation == "none":
        return {"base weights": parameters.total * BYTES[dtype]}
    width = FLOAT if trained else BYTES[dtype]
    return {"base weights (NF4)": nf4_bytes(shape), "embeddings, norms, head": parameters.unquantised * width}


def layer_activations(shape: Shape, training: Training, length: int, cpu: bool = False) -> float:
    """What autograd keeps of one layer for each token of rows of `length` tokens."""
    stream, product, lora = _widths(training)
    inputs = 5 * shape.hidden + shape.query + shape.intermediate  # of q, k, v, gate, up; o; down
    kept = 2 * shape.hidden * FLOAT + 2 * FLOAT  # both norms: their input and its scale
    # Gate, its SiLU, up: bitsandbytes gives back the type it was given, autocast's own linear layers give bfloat16.
    kept += 3 * shape.intermediate * (stream if training.quantisation == "nf4" else product)
    # Attention: query, repeated keys and values, output; log-sum-exp of each head; the mask in the same type.
    kept += 4 * shape.query * product + shape.heads * FLOAT + length * product
    apart = training.dropout > 0 or training.autocast or stream != lora
    kept += (inputs if apart else 2 * shape.hidden + shape.intermediate) * lora  # of A; shared if nothing changes them
    kept += 7 * training.rank * lora  # outputs of A
    # Masks of dropout: a byte each on a GPU, float32 on a CPU.
    return kept + (inputs * (FLOAT if cpu else 1) if training.dropout else 0)


def _widths(training: Training) -> tuple[int, int, int]:
    """Bytes of the residual stream, of attention's matrix products and of LoRA's."""
    stream = FLOAT if training.quantisation == "nf4" else BYTES[training.dtype]
    return (stream, HALF, HALF) if training.autocast else (stream, stream, FLOAT)


def cast_weights(shape: Shape, training: Training) -> float:
    """What autocast keeps of one layer's unquantised weights until the backward pass: a bfloat16 copy."""
    copied = training.autocast and training.quantisation == "none" and training.dtype == "float32"
    return HALF * counts(shape).linear / shape.layers if copied else 0.0


def activations(shape: Shape, training: Training, length: int, cpu: bool = False) -> dict[str, float]:
    """Activations of one micro-batch: of all layers, or with checkpointing the inputs of all and the inside of one."""
    tokens, stream = training.batch * length, _widths(training)[0]
    layer = tokens * layer_activations(shape, training, length, cpu) + cast_weights(shape, training)
    # The backward pass of the MLP, and LoRA's sums in the forward pass, hold three more of its tensors.
    around = 3 * tokens * shape.intermediate * stream
    if not training.checkpointing:
        return {"activations": shape.layers * layer, "around them": around}
    return {"layer inputs (checkpointed)": shape.layers * tokens * shape.hidden * stream, "one layer": layer + around}


def dequantised(shape: Shape) -> float:
    """The largest projection in bfloat16: bitsandbytes makes it whole for each product (autograd/_functions.py)."""
    return HALF * max(inputs * outputs for inputs, outputs in shape.projections.values())


def fused_logits(shape: Shape, training: Training, length: int, cpu: bool) -> float:
    """TRL's output layer on all positions: a tile, its share of the head's weight, hidden states and their gradient."""
    tokens, width = training.batch * length, HALF if training.autocast else FLOAT
    rows, words = min(tokens, TILE_ROWS), min(shape.vocabulary, TILE_WORDS)
    tile = rows * TILE_WORDS * width + words * shape.hidden * width
    return tile + 3 * tokens * shape.hidden * FLOAT + (rows * words * TILE_COPIES if cpu else 0)


def _trained(shape: Shape, training: Training) -> dict[str, float]:
    """LoRA's weights, which `training.model` keeps in float32, their gradients and the optimiser's state."""
    number = lora_parameters(shape, training.rank)
    state = OPTIMISERS[training.optimiser] * number
    copies = {"LoRA in bfloat16": HALF * number} if training.autocast else {}
    return {"LoRA weights": FLOAT * number, "LoRA gradients": FLOAT * number, "optimiser state": state, **copies}


def _optimiser_step(shape: Shape, training: Training) -> dict[str, float]:
    number = lora_parameters(shape, training.rank)
    return {"copies of the weights": FLOAT * number if training.optimiser in BY_LISTS else 0.0}


def _forward(shape: Shape, tokens: int) -> float:
    """A pass without gradients: four tensors as wide as the MLP and four as wide as the stream.

    LoRA adds in float32, so they are float32 whatever the stream is.
    """
    return tokens * FLOAT * 4 * (shape.intermediate + shape.hidden)


def _cache(shape: Shape, tokens: int, stream: int) -> float:
    """Keys and values of all layers, which transformers keeps unless it is told not to."""
    return 2 * shape.layers * shape.key * stream * tokens


# --- SFT, PPO, evaluation -----------------------------------------------------------------------------------------


def sft(shape: Shape, training: Training, length: int, probed: int, cpu: bool = False) -> Memory:
    """Memory of `training.sft`.

    Args:
        shape: Of the base.
        training: The recipe.
        length: Tokens of the longest row that is trained on.
        probed: Tokens of the longest row of the probe of the label's use, 0 without a probe.
        cpu: Whether there is no GPU.
    """
    kept = weights(shape, training.quantisation, training.dtype, trained=True) | _trained(shape, training)
    workspace = {"dequantised layer": dequantised(shape)} if training.quantisation == "nf4" else {}
    inside = activations(shape, training, length, cpu)
    moments = {
        "backward pass": inside | workspace,
        "output layer": _before_head(inside, training)
        | {"a tile of logits": fused_logits(shape, training, length, cpu)},
        "optimiser step": _optimiser_step(shape, training),
    }
    if probed and training.probe_every:
        moments |= _probe(shape, training, training.probe_rows * probed, cpu)
    return Memory(kept, moments)


def _probe(shape: Shape, training: Training, tokens: int, cpu: bool) -> dict[str, dict[str, float]]:
    """Moments of `training.sft.reply_loss`, which makes the logits of all positions of all rows of the probe."""
    stream, width, _ = _widths(training)
    logits = tokens * shape.vocabulary * width
    # The loss is taken on the CPU, of float32: copied where they are bfloat16, or cut out of a batch that stays. On a
    # CPU their softmax stands beside them.
    more = (FLOAT if width == HALF or cpu else 0) + (FLOAT if cpu else 0)
    head = HALF * shape.vocabulary * shape.hidden if training.autocast else 0.0
    return {
        "probe of the label": {"keys and values": _cache(shape, tokens, stream), "logits": logits, "its head": head},
        "loss of the probe": {"logits, and as float32": logits + tokens * shape.vocabulary * more},
    }


def _before_head(inside: Mapping[str, float], training: Training) -> dict[str, float]:
    """What is kept when the output layer runs: everything but the inside of a layer that is computed again."""
    left_out = "one layer" if training.checkpointing else "around them"
    return {name: size for name, size in inside.items() if name != left_out}


def ppo(shape: Shape, training: Training, length: int, cpu: bool = False) -> Memory:
    """Memory of `training.ppo`; only the last position's logits are made.

    Its last layer leaves out positions that nobody reads (`training.ppo.spare_unread_positions`); that is not counted.

    Args:
        shape: Of the base.
        training: The recipe.
        length: Tokens of the longest prompt.
        cpu: Whether there is no GPU.
    """
    kept = weights(shape, training.quantisation, training.dtype, trained=True) | _trained(shape, training)
    stream = _widths(training)[0]
    workspace = {"dequantised layer": dequantised(shape)} if training.quantisation == "nf4" else {}
    tokens = training.rollout * length
    logits = {"logits (last position)": 2 * training.batch * shape.vocabulary * FLOAT}
    update = {"keys and values": _cache(shape, training.batch * length, stream)}
    moments = {
        "rollout": {
            f"{training.rollout:,} prompts in one pass": _forward(shape, tokens),
            "keys and values": _cache(shape, tokens, stream),
        }
        | workspace,
        "update": activations(shape, training, length, cpu) | update | workspace | logits,
        "optimiser step": _optimiser_step(shape, training),
    }
    return Memory(kept, moments)


def evaluation(shape: Shape, training: Training, adapted: bool, batch: int, prompt: int, reply: int) -> Memory:
    """Memory of asking a model, `batch` prompts at a time.

    Args:
        shape: Of the base.
        training: Its quantisation, precision and rank.
        adapted: Whether it has an adapter.
        batch: Prompts at a time.
        prompt: Tokens of the longest prompt.
        reply: Tokens of the longest reply; 1 for a forced choice.
    """
    kept = weights(shape, training.quantisation, training.dtype, trained=False)
    if adapted:
        kept |= {"LoRA weights": FLOAT * lora_parameters(shape, training.rank)}
    stream = BYTES[training.dtype]
    logits = batch * shape.vocabulary * (stream + 3 * FLOAT)  # as they come, in float32, noise, sum
    read, written = (_cache(shape, batch * length, stream) for length in (prompt, prompt + reply))
    written *= 1 + 1 / shape.layers  # a layer's are copied to grow by a token
    moments = {
        "prompts": {"one pass": _forward(shape, batch * prompt), "keys and values": read},
        "replies": {"keys and values": written, "logits and sampling": logits},
    }
    return Memory(kept, moments)
