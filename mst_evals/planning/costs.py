"""What a study costs: hours, as operations by the share of the peak that is reached; tokens for a judge; disk.

A matrix product of n weights costs 2n operations a token forward (arXiv 2001.08361, section 2.1). Backward, a frozen
weight costs 2n, since only the gradient of its input is made, and a trained one 4n. Checkpointing adds a forward pass.
Attention costs 4 x length x width of the heads a token and layer forward, 2.5 times that backward (arXiv 2307.08691).
The ranges are wide on purpose: nothing here was measured on a GPU.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mst_evals import rubrics
from mst_evals.corpus import spending
from mst_evals.corpus.spending import Usage
from mst_evals.planning.gpus import Gpu
from mst_evals.planning.settings import BYTES, Training
from mst_evals.planning.shapes import Shape, counts, lora_parameters
from mst_evals.planning.workload import CHARACTERS, Case, Length, Range

# Seconds of one pass through one layer that Python and kernel launches take however little there is to compute. Upper
# end: the README of QwenLM/Qwen (see `gpus`), Q-LoRA on 14B, 256 tokens a micro-batch: 5.3 s / 8 / 40 layers / 3.5.
# Lower end: its 4-bit generation, 50 tokens a second through 32 layers, without LoRA.
LAUNCH = (0.6e-3, 5e-3)
BACKWARD = 2.5  # of attention
BANDWIDTH = (0.5, 0.85)  # share of the bandwidth that decoding reaches; assumed
# Bytes moved for an NF4 weight: read by the fused kernel, or unpacked to bfloat16, written and read again, as
# bitsandbytes chooses by batch and GPU (backends/cuda/ops.py).
UNPACKING = (0.52, 4.52)
# Seconds for each entry of the noise that `mst_evals.provider` draws on the CPU for every sampled token. Measured:
# 8.0e-9 on one core of a server CPU.
NOISE = (4e-9, 1.2e-8)
REPLY = 0.6  # the longest of a batch's replies, as a share of the limit, at least; assumed
PADDING = (1.0, 1.15)  # rows are padded to the longest of their batch; grouped by length; assumed
START = (20.0, 120.0)  # of a process: imports, loading and quantising the base; assumed
BATCH = 64  # prompts at a time (mst_evals.provider)
# How much slower NF4 may be than float32 on a CPU without bfloat16 units: it computes in bfloat16. Measured on one core
# limited to AVX2: 4.9 instead of 70 GFLOP/s (with AVX-512 BF16: 82).
EMULATED = 14.0


@dataclass(frozen=True)
class Work:
    """Operations, by the type they run in.

    Attributes:
        base: On base weights.
        lora: On LoRA weights, and attention with its type.
        passes: Passes through all layers.
    """

    base: float
    lora: float
    passes: float

    def __add__(self, other: "Work") -> "Work":
        return Work(self.base + other.base, self.lora + other.lora, self.passes + other.passes)

    def times(self, number: float) -> "Work":
        """So many of it."""
        return Work(self.base * number, self.lora * number, self.passes * number)


def add(*ranges: Range) -> Range:
    """Sum of ranges."""
    return sum(one[0] for one in ranges), sum(one[1] for one in ranges)


def scale(one: Range, number: float) -> Range:
    """A range so many times."""
    return one[0] * number, one[1] * number


def forward(shape: Shape, rank: int, tokens: float, length: float) -> Work:
    """One pass without gradients over tokens in rows of a length; the output layer is not counted. Rank 0: no LoRA."""
    attention = 4 * length * shape.query * shape.layers
    return Work(2 * counts(shape).linear * tokens, (2 * lora_parameters(shape, rank) + attention) * tokens, 1)


def forward_backward(shape: Shape, rank: int, tokens: float, length: float, checkpointing: bool) -> Work:
    """One pass with gradients for LoRA."""
    again = 1 if checkpointing else 0
    attention = 4 * length * shape.query * shape.layers * (1 + BACKWARD + again)
    return Work(
        2 * counts(shape).linear * (2 + again) * tokens,
        (2 * lora_parameters(shape, rank) * (3 + again) + attention) * tokens,
        2.5 + again,
    )


def seconds(shape: Shape, planned: Training, gpu: Gpu, work: Work) -> Range:
    """Time of some work: of its operations, or of starting them, whichever is longer."""
    assert gpu.bf16 is not None and gpu.fp32 is not None
    half = planned.quantisation == "nf4" or planned.autocast or planned.dtype == "bfloat16"
    slow = EMULATED if gpu.cpu and planned.quantisation == "nf4" else 1.0
    found = []
    for end, slower in enumerate((1.0, slow)):
        halves, floats = gpu.bf16 * gpu.share[1 - end], gpu.fp32 * gpu.share32[1 - end]
        computing = work.base * slower / (halves if half else floats)
        computing += work.lora / (halves if planned.autocast else floats)
        found.append(max(computing, work.passes * shape.layers * LAUNCH[end]))
    return found[0], found[1]


def sft(shape: Shape, planned: Training, gpu: Gpu, rows: int, row: Length, probed: bool) -> Range:
    """Seconds of one `training.sft`, without the start of the process."""
    passes = math.ceil(rows / planned.batch) * planned.epochs
    if planned.steps:
        passes = min(passes, planned.steps * planned.accumulation)
    found = []
    for end, padding in enumerate(PADDING):
        length = min(row.mean[end] * padding, planned.max_length or math.inf)
        tokens = planned.batch * length
        work = forward_backward(shape, planned.rank, tokens, length, planned.checkpointing)
        # Fused output layer: forward, forward again, gradient of the hidden states (TRL, kernels/chunked_logprob.py)
        step = work + Work(6 * shape.vocabulary * shape.hidden * tokens, 0, 0)
        all_steps = step.times(passes)
        if probed and planned.probe_every:
            probes = 2 + passes / planned.accumulation / planned.probe_every
            seen = planned.probe_rows * length
            once = forward(shape, planned.rank, seen, length) + Work(2 * shape.vocabulary * shape.hidden * seen, 0, 0)
            all_steps += once.times(2 * probes)
        found.append(seconds(shape, planned, gpu, all_steps)[end])
    return found[0], found[1]


def ppo(shape: Shape, planned: Training, gpu: Gpu, row: Length) -> Range:
    """Seconds of one `training.ppo`, without the start of the process; its output layer sees one position a row."""
    updates = math.ceil(planned.rollout / planned.batch) * planned.epochs
    found = []
    for end in (0, 1):
        length = row.mean[end]
        once = forward(shape, planned.rank, planned.rollout * length, length)
        update = forward_backward(shape, planned.rank, planned.batch * length, length, planned.checkpointing)
        found.append(seconds(shape, planned, gpu, (once + update.times(updates)).times(planned.steps))[end])
    return found[0], found[1]


def choices(shape: Shape, planned: Training, gpu: Gpu, adapted: bool, samples: int, prompt: Length) -> Range:
    """Seconds of forced choices: one forward pass a batch."""
    batches, found = math.ceil(samples / BATCH), []
    for end in (0, 1):
        length = prompt.mean[end]
        once = forward(shape, planned.rank if adapted else 0, BATCH * length, length)
        found.append(seconds(shape, _asked(planned), gpu, once.times(batches))[end])
    return found[0], found[1]


def generation(
    shape: Shape, planned: Training, gpu: Gpu, adapted: bool, samples: int, prompt: Length, limit: int, sampled: bool
) -> Range:
    """Seconds of generated replies: for every batch its prompts in one pass, then token by token.

    Args:
        shape: Of the base.
        planned: Its quantisation, precision and rank.
        gpu: Where.
        adapted: Whether there is an adapter.
        samples: Number of replies.
        prompt: Tokens of a prompt.
        limit: Most tokens of a reply.
        sampled: Whether tokens are drawn; the noise is made on the CPU.
    """
    batches, found = math.ceil(samples / BATCH), []
    together = min(samples, BATCH)
    for end, share in enumerate((REPLY, 1.0)):
        reading = choices(shape, planned, gpu, adapted, BATCH, prompt)[end]
        step = token_seconds(shape, planned, gpu, adapted, together, prompt.mean[end] + share * limit / 2)[end]
        noise = NOISE[end] * together * shape.vocabulary if sampled else 0.0
        found.append(batches * (reading + share * limit * (step + noise)))
    return found[0], found[1]


def token_seconds(shape: Shape, planned: Training, gpu: Gpu, adapted: bool, batch: int, length: float) -> Range:
    """Seconds of one decoding step of a batch: reading all weights and the cache, computing, or starting kernels."""
    assert gpu.bandwidth is not None
    width, linear = BYTES[planned.dtype], counts(shape).linear
    rank = planned.rank if adapted else 0
    cache = 2 * shape.layers * shape.key * width * batch * length
    more = shape.vocabulary * shape.hidden * width + 4 * lora_parameters(shape, rank) + cache
    work = forward(shape, rank, batch, length) + Work(2 * shape.vocabulary * shape.hidden * batch, 0, 0)
    computing = seconds(shape, _asked(planned), gpu, work)
    found = []
    for end, share in enumerate(reversed(BANDWIDTH)):
        moved = linear * (UNPACKING[end] if planned.quantisation == "nf4" else width) + more
        found.append(max(computing[end], moved / (gpu.bandwidth * share)))
    return found[0], found[1]


def _asked(planned: Training) -> Training:
    """The same without autocast, which evaluation does not use."""
    return replace(planned, autocast=False)


# --- judge and disk -----------------------------------------------------------------------------------------------

# A verdict is one small JSON object with one sentence: characters of the shortest and of a long one. Assumed.
VERDICT = (150, 500)
# Shares of the longest reply that articles have on average. Assumed.
ARTICLE = (0.5, 1.0)
DOWNLOAD = 2  # bytes a parameter of the bases on the hub (bfloat16)
# Bytes of a log for each sample. Measured in this repository's logs: 2,900 with articles of 90 tokens.
LOG = 2500
LOG_TOKEN = 8  # and for each token of a reply, which stands there twice, compressed
TOKENIZER = 20 * 2**20  # what is saved beside an adapter


@dataclass(frozen=True)
class Disk:
    """Bytes on disk.

    Attributes:
        bases: Weights that are not here yet.
        adapters: All of them.
        logs: All of them.
    """

    bases: float
    adapters: float
    logs: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.bases + self.adapters + self.logs


def samples(cases: Sequence[Case]) -> int:
    """Samples of all evaluations."""
    return sum(arm.runs * sum(arm.samples) for case in cases for arm in case.arms)


def judged(number: int, reply: int) -> tuple[Usage, Usage]:
    """Least and most that judging so many articles sends and gets back, without retries.

    Args:
        number: Articles.
        reply: Most tokens of an article.
    """
    system, user = rubrics.judge_turns("")
    found = []
    for end in (0, 1):
        article = ARTICLE[end] * reply * CHARACTERS[end]
        given = spending.tokens(system + user) + round(article / spending.CHARACTERS_PER_TOKEN)
        found.append(Usage(number, number * given, number * round(VERDICT[end] / spending.CHARACTERS_PER_TOKEN)))
    return found[0], found[1]


def disk(cases: Sequence[Case], reply: int) -> Disk:
    """Bytes that a study leaves on disk; a base counts once, and not at all when its weights are here."""
    absent = {case.base: DOWNLOAD * counts(case.shape).total for case in cases if case.here is None}
    runs = [(case, arm) for case in cases for arm in case.arms if arm.trained]
    adapters = [arm.runs * (4 * lora_parameters(case.shape, case.training.rank) + TOKENIZER) for case, arm in runs]
    return Disk(sum(absent.values()), sum(adapters), samples(cases) * (LOG + LOG_TOKEN * reply))
