"""The manifest beside a model's weights: the contract on disk between training and evaluation.

Every adapter directory holds one (``kind: adapter``), and so does every micro base (``kind: base``, the arm ``ootb``).
Tasks copy it into the log, so that a report takes no fact from a file name.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mst_evals.errors import InputError

FILE = "manifest.json"
BASE_WEIGHTS = "model.safetensors"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
SHIPPED = Path(__file__).resolve().parent.parent / "training" / "models"
SEARCH_PATH = "MST_BASES"  # environment variable: more folders of base models, separated as in PATH


@dataclass(frozen=True)
class Manifest:
    """What a directory of weights is.

    Attributes:
        kind: ``adapter`` or ``base``.
        experiment: ``bias`` or ``sycophancy``.
        arm: Name of the arm it was trained as; ``ootb`` for a base.
        seed: Training seed; None for a base.
        method: ``sft``, ``ppo`` or ``pretrain``.
        wording: Prompt wording used in training; None for a base.
        base: Name of the base model (hub id, or name of the micro base).
        base_sha256: Digest of the base's weights (`bases.digest`); None when they were not at hand in that format.
        adapter_sha256: Digest of the adapter's weight file; None for a base.
        data_sha256: Digest of the training data file (for a micro base, of its corpus).
        quantisation: The quantisation it was trained with (``nf4`` or ``none``), which evaluation repeats.
        arguments: Resolved training arguments.
        versions: Package versions at training.
        condition: What a study calls the arguments or base in which this run differs from its others, empty for none.
        label_use: What swapping the label changed during training, step by step (`training.label_use`).
    """

    kind: str
    experiment: str
    arm: str
    seed: int | None
    method: str
    wording: str | None
    base: str
    base_sha256: str | None
    adapter_sha256: str | None
    data_sha256: str | None
    quantisation: str
    arguments: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    condition: str = ""
    label_use: list[dict[str, Any]] = field(default_factory=list)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write(directory: Path, manifest: Manifest) -> None:
    """Write a directory's manifest atomically. It is written last, so its presence means the directory is whole."""
    write_text(directory / FILE, json.dumps(asdict(manifest), indent=2, sort_keys=True, default=str) + "\n")


def read(directory: Path) -> Manifest | None:
    """The manifest of a directory, None when there is none.

    Raises:
        InputError: The file is no manifest of ours; the message names the field.
    """
    path = directory / FILE
    if not path.is_file():
        return None
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not a manifest ({error})") from None
    known = {entry.name for entry in fields(Manifest)}
    later = {"condition", "label_use"}  # missing in manifests written before they existed
    if not isinstance(content, dict) or set(content) | later != known:
        wrong = sorted(known.symmetric_difference(content)) if isinstance(content, dict) else [type(content).__name__]
        raise InputError(f"{path}: not a manifest of this version (missing or unknown: {', '.join(wrong)})")
    return Manifest(**content)
