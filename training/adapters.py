"""What an adapter directory holds, and how it appears: whole or not at all. For both trainers."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from mst_evals import bases, data, manifest, quantisation
from mst_evals.errors import InputError

PACKAGES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "mst-evals")
BASE_FILES = ("config.json", "generation_config.json", manifest.BASE_WEIGHTS)
# A base up to this size is copied beside its adapter, so that the directory moves freely (`--model hf/DIR`). Larger
# ones stay where they are and are found again by digest.
COPY_UP_TO = 64 * 2**20


@contextmanager
def claim(directory: Path) -> Iterator[Path]:
    """An empty working directory beside the final one, which appears only when `finish` has put everything in it.

    The working directory is removed when anything goes wrong or the run is interrupted.

    Raises:
        InputError: The final directory exists, since results already computed are never overwritten.
    """
    if directory.exists():
        raise InputError(f"{directory}: exists already; name another --output_dir or remove it")
    working = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        yield working
    finally:
        shutil.rmtree(working, ignore_errors=True)  # after `finish` it has moved, and there is nothing to remove


def finish(
    working: Path,
    directory: Path,
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    base: str,
    facts: Mapping[str, Any],
) -> manifest.Manifest:
    """Save everything that evaluation needs, write the manifest last, and move the directory into place.

    Args:
        working: What `claim` returned.
        directory: The final directory.
        model: The trained adapter on its base.
        tokenizer: Saved with its chat template.
        base: Path or hub id the base was loaded from.
        facts: experiment, arm, seed, method, wording, data_sha256, quantisation and arguments.
    """
    name, base_sha256 = bases.facts(base)
    model.peft_config["default"].base_model_name_or_path = name
    # "auto" would ask the hub whether the vocabulary changed; only projections are trained.
    model.save_pretrained(working, save_embedding_layers=False)
    (working / "README.md").unlink(missing_ok=True)  # peft's empty card
    tokenizer.save_pretrained(working)
    weights = Path(base) / manifest.BASE_WEIGHTS
    if weights.is_file() and weights.stat().st_size <= COPY_UP_TO:
        for file in BASE_FILES:
            if (Path(base) / file).is_file():
                shutil.copyfile(Path(base) / file, working / file)
    manifest.write_text(
        working / "nf4.yaml", quantisation.inspect_model_config(facts["quantisation"], facts["arguments"]["dtype"])
    )
    manifest.write_text(working / "arguments.yaml", yaml.safe_dump(json.loads(json.dumps(facts["arguments"]))))
    written = manifest.Manifest(
        kind="adapter",
        base=name,
        base_sha256=base_sha256,
        adapter_sha256=data.sha256(working / manifest.ADAPTER_WEIGHTS),
        versions={package: version(package) for package in PACKAGES} | {"python": sys.version.split()[0]},
        **facts,
    )
    manifest.write(working, written)
    working.rename(directory)
    return written
