"""Whether an adapter's weights can be what they say: readable, finite, of the shapes that its base and settings make.

peft drops a weight that it has no place for and fills in one that is missing, each with no more than a warning, so an
adapter with wrong names would be evaluated as another one.
"""

import warnings
from pathlib import Path

from mst_evals import bases, data, manifest
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an adapter.

    Raises:
        InputError: There is no such directory, no manifest in it, or it is that of a base.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory, expected an adapter that training made")
    found = manifest.read(directory)
    if found is None:
        raise InputError(f"{directory.name}: no {manifest.FILE}, expected an adapter that training made")
    if found.kind != "adapter":
        raise InputError(f"{directory.name}: kind {found.kind!r} in its manifest, expected 'adapter'")
    return found


def check(directory: Path, found: Manifest) -> None:
    """Check the weights of an adapter. Imports torch; the base is looked at, its weights are not loaded.

    Raises:
        InputError: The file is missing, cut, or not the one of the manifest; a number is not finite; a weight is
            missing, unknown or of another shape; or the base is missing.
    """
    path = directory / manifest.ADAPTER_WEIGHTS
    where = f"{directory.name}/{path.name}"
    shapes = _shapes(path, where)
    if data.sha256(path) != found.adapter_sha256:
        raise InputError(
            f"{where}: changed since its manifest was written (sha256 {str(found.adapter_sha256)[:12]}...)"
        )
    wanted = expected_shapes(directory, bases.locate(directory, found))
    for what, names in (("missing", wanted.keys() - shapes.keys()), ("unknown", shapes.keys() - wanted.keys())):
        if names:
            raise InputError(f"{where}: {len(names)} weights are {what}, such as {min(names)}")
    for name, shape in shapes.items():
        if shape != wanted[name]:
            raise InputError(f"{where}: {name} has shape {list(shape)}, expected {list(wanted[name])}")


def _shapes(path: Path, where: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, all of them finite."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{where}: no such file")
    shapes = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                weight = file.get_tensor(name)
                if not bool(weight.isfinite().all()):
                    raise InputError(f"{where}: {name} holds a number that is not finite")
                shapes[name] = tuple(weight.shape)
    except SafetensorError as error:
        raise InputError(f"{where}: cut short or no safetensors file ({error})") from None
    return shapes


def expected_shapes(directory: Path, base: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the weights that an adapter's settings make on its base; nothing is loaded.

    Args:
        directory: The adapter.
        base: Path or hub id of its base.
    """
    import torch
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = PeftConfig.from_pretrained(str(directory))
    settings.base_model_name_or_path = None  # the base is found by its digest, whatever it was called in training
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for an attribute of an older name
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
        made = get_peft_model(model, settings)
    found = get_peft_model_state_dict(made, save_embedding_layers=False)
    return {name: tuple(weight.shape) for name, weight in found.items()}
