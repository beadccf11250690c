"""Whether an adapter's weights can be what they say: readable, finite, of the shapes that its base and settings make.

peft drops a weight that it has no place for and fills in one that is missing, each with no more than a warning, so an
adapter with wrong names would be evaluated as another one.
"""

import json
import warnings
from pathlib import Path

from mst_evals import bases, data, manifest, preflight, variants, weights
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest

SETTINGS = "adapter_config.json"
LONGEST = 200  # characters of an error of a library that are kept
# What the fields hold that a check uses: a manifest is read without a look at its values.
_VALUES = {
    "a text": (str, ("arm", "base", "quantisation")),
    "a text or null": (str | None, ("wording", "base_sha256", "adapter_sha256", "data_sha256")),
    "a whole number or null": (int | None, ("seed",)),
    "an object": (dict, ("arguments", "versions")),
}


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an adapter.

    Raises:
        InputError: There is no such directory, no manifest in it, it cannot be read, it is that of a base or of another
            experiment, or a field has a value of another kind.
    """
    try:
        if not directory.is_dir():
            raise InputError(f"{directory}: no such directory, expected an adapter that training made")
        found = manifest.read(directory)
    except (OSError, RecursionError) as error:  # no right to read it; JSON nested without end
        raise InputError(f"{directory.name}: its {manifest.FILE} cannot be read ({said(error)})") from None
    if found is None:
        raise InputError(f"{directory.name}: no {manifest.FILE}, expected an adapter that training made")
    if found.kind != "adapter":
        raise InputError(f"{directory.name}: kind {found.kind!r} in its manifest, expected 'adapter'")
    if found.experiment not in variants.EXPERIMENTS:
        expected = " or ".join(map(repr, variants.EXPERIMENTS))
        raise InputError(f"{directory.name}: experiment {found.experiment!r} in its manifest, expected {expected}")
    for expected, (kind, names) in _VALUES.items():
        for name in names:
            value = getattr(found, name)
            if not isinstance(value, kind):
                shown = json.dumps(value)[:LONGEST]
                raise InputError(f"{directory.name}: {name} is {shown} in its manifest, expected {expected}")
    return found


def check(directory: Path, found: Manifest) -> None:
    """Check the files of an adapter. Imports torch; the base is looked at, its weights are not loaded.

    Raises:
        InputError: The weights are missing, cut, or not those of the manifest; a number is not finite; a weight is
            missing, unknown or of another shape; settings or tokenizer are missing or cannot be used; or the base
            cannot be had.
    """
    path = directory / manifest.ADAPTER_WEIGHTS
    where = f"{directory.name}/{path.name}"
    if not path.is_file():
        raise InputError(f"{where}: no such file")
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.tensors(path, where)}
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
    _tokenizer(directory, found)


def _tokenizer(directory: Path, found: Manifest) -> None:
    """Raise unless the tokenizer can make a prompt of the adapter's experiment into token ids of a batch."""
    from transformers import AutoTokenizer

    name = directory.name
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory)
    except Exception as error:  # its files are read by several libraries, with as many types
        raise InputError(f"{name}: its tokenizer cannot be loaded ({said(error)})") from None
    if not tokenizer.chat_template:
        raise InputError(f"{name}: its tokenizer has no chat template, so no prompt can be made")
    text = preflight.probe_prompt(found.experiment, found)[-1]["content"]
    if not tokenizer(text, add_special_tokens=False)["input_ids"]:  # the template's own tokens are known without it
        raise InputError(f"{name}: its tokenizer makes no token of a text, as one without tokenizer.json does")
    if tokenizer.pad_token_id is None:
        raise InputError(f"{name}: its tokenizer names no padding token, expected one in tokenizer_config.json")


def said(error: Exception) -> str:
    """An error of a library in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:LONGEST]}{'...' if len(text) > LONGEST else ''}"


def expected_shapes(directory: Path, base: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the weights that an adapter's settings make on its base; nothing is loaded.

    Args:
        directory: The adapter.
        base: Path or hub id of its base.

    Raises:
        InputError: The settings are missing, are none or do not fit the base, or the base cannot be had.
    """
    import torch
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict
    from transformers import AutoConfig, AutoModelForCausalLM

    where = f"{directory.name}/{SETTINGS}"
    if not (directory / SETTINGS).is_file():
        raise InputError(f"{where}: no such file")
    try:
        settings = PeftConfig.from_pretrained(str(directory))
    except Exception as error:  # peft checks nothing of what it reads, so a fault surfaces as many types
        raise InputError(f"{where}: not the settings of an adapter ({said(error)})") from None
    settings.base_model_name_or_path = None  # the base is found by its digest, whatever it was called in training
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for an attribute of an older name
        try:
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
        except (OSError, ValueError) as error:  # the hub is out of reach; no such model; no model at all
            raise InputError(f"{directory.name}: its base {base} cannot be had ({said(error)})") from None
        try:
            made = get_peft_model(model, settings)
        except Exception as error:  # as above: here is where it uses them
            raise InputError(f"{where}: makes no adapter on its base ({said(error)})") from None
    found = get_peft_model_state_dict(made, save_embedding_layers=False)
    return {name: tuple(weight.shape) for name, weight in found.items()}
