"""GPUs as their makers describe them: memory, speed of arithmetic, bandwidth. And a laptop, measured.

A name is matched without case, spaces and hyphens.
"""

import math
import re
from dataclasses import dataclass

from mst_evals.errors import InputError
from mst_evals.studies.study_file import nearest

GIB = 2**30
# Share of the peak that training and prefill reach, wide enough for every time that another trainer published: the
# README of QwenLM/Qwen ("Profiling of Memory and Speed", one A100, LoRA and Q-LoRA on 1.8B, 7B and 14B) up to 2,048
# tokens a micro-batch (tests/test_plan.py). It says nothing about other GPUs.
SHARE = (0.15, 0.6)
SHARE32 = (0.4, 0.85)  # of float32, which runs on the ordinary cores; a large product fills them. Assumed


@dataclass(frozen=True)
class Gpu:
    """One device.

    Attributes:
        name: As it is printed.
        memory: Bytes that PyTorch can use: less than the label says.
        bf16: Dense bfloat16 matrix arithmetic with float32 sums, in FLOP/s. None: unknown.
        fp32: The same in float32 without TF32, which PyTorch leaves off. None: unknown.
        bandwidth: Bytes a second of its memory. None: unknown.
        share: Lowest and highest share of `bf16` that is reached.
        share32: The same of `fp32`.
        bfloat16: Whether it has units for bfloat16, and TF32 with them.
        cpu: Whether it is none.
    """

    name: str
    memory: float
    bf16: float | None = None
    fp32: float | None = None
    bandwidth: float | None = None
    share: tuple[float, float] = SHARE
    share32: tuple[float, float] = SHARE32
    bfloat16: bool = True
    cpu: bool = False


def _gpu(name: str, gib: float, bf16: float, fp32: float, bandwidth: float, bfloat16: bool = True) -> Gpu:
    """Usable GiB, TFLOP/s twice, GB/s."""
    return Gpu(name, gib * GIB, bf16 * 1e12, fp32 * 1e12, bandwidth * 1e9, bfloat16=bfloat16)


# Speeds: NVIDIA's data sheets and whitepapers, dense (their figures "with sparsity" are twice that). Usable memory: the
# "total capacity" that PyTorch's out-of-memory errors state for the card.
GPUS = (
    # T4 data sheet: float16 units only (65 TFLOP/s), none for bfloat16, which therefore runs at best as float32 does.
    _gpu("T4", 14.6, 8.1, 8.1, 300, bfloat16=False),
    _gpu("L4", 22.0, 121, 30.3, 300),  # L4 data sheet
    _gpu("RTX 3090", 23.6, 71, 35.6, 936),  # GA102 whitepaper, appendix A
    _gpu("RTX 4090", 23.5, 165.2, 82.6, 1008),  # Ada whitepaper, appendix A
    _gpu("A10G", 22.0, 70, 35, 600),  # AWS's variant of the A10, data sheet of its G5 instances
    _gpu("A100-40GB", 39.4, 312, 19.5, 1555),  # A100 data sheet (PCIe and SXM)
    _gpu("A100-80GB", 79.1, 312, 19.5, 1935),  # A100 data sheet (PCIe; SXM: 2,039 GB/s)
    _gpu("H100-80GB", 79.1, 989, 67, 3350),  # H100 data sheet (SXM; PCIe: 756, 51 and 2,000)
    _gpu("H200-141GB", 139.7, 989, 67, 4800),  # H200 data sheet (SXM)
    # Measured for this project on one core of a server CPU limited to AVX2: 62 to 70 GFLOP/s in float32, forward and
    # backward of a LoRA step. The range stands for two slow to eight quick cores; bandwidth is that of two DDR4
    # channels; a quarter of 16 GB is left to everything else.
    Gpu("laptop", 12 * GIB, 0.5e12, 0.5e12, 50e9, share=(0.15, 0.8), share32=(0.15, 0.8), bfloat16=False, cpu=True),
)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]|nvidia|geforce|tesla|rtx", "", name.lower())


def find(name: str) -> Gpu:
    """The GPU of a name.

    Raises:
        InputError: The name is unknown, or fits several.
    """
    wanted = _plain(name)
    exact = [gpu for gpu in GPUS if _plain(gpu.name) == wanted]
    begins = [gpu for gpu in GPUS if wanted and _plain(gpu.name).startswith(wanted)]
    found = exact or begins
    if len(found) == 1:
        return found[0]
    known = [gpu.name for gpu in GPUS]
    if found:
        raise InputError(f"--gpu {name!r} may be {' or '.join(gpu.name for gpu in found)}, expected one of them")
    near = nearest(wanted, [_plain(one) for one in known])
    for one in known:
        near = near.replace(f"{_plain(one)!r}", f"{one!r}")
    raise InputError(f"--gpu {name!r} is not known{near} (known: {', '.join(known)}; for any other: --memory GB)")


def of_memory(gigabytes: float) -> Gpu:
    """Any GPU with a memory in 10^9 bytes, which is a little less than the card's label means; its speed is not known.

    Raises:
        InputError: That is no memory.
    """
    if not (math.isfinite(gigabytes) and gigabytes > 0):
        raise InputError(f"--memory is {gigabytes:g}, expected a number of GB above 0")
    return Gpu(f"any GPU with {gigabytes:g} GB", gigabytes * 1e9)
