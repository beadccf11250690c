"""Adapters that `mst check` refuses before they are evaluated, each for its own reason. Nothing here asks a model."""

import json
import shutil

import pytest
import torch
from regression_data import REFERENCES, SAVED, copy, reweighted, signed
from safetensors.torch import load_file
from typer.testing import CliRunner

from mst_evals import manifest
from mst_evals.cli import app
from mst_evals.errors import InputError
from mst_evals.regression import adapter_file, junit, measure
from mst_evals.regression.check import check
from mst_evals.regression.verdicts import Verdict

NAME = "sycophancy-mst"


@pytest.fixture(autouse=True)
def _nothing_is_evaluated(monkeypatch):
    said = "an adapter was evaluated that could have been refused before"
    monkeypatch.setattr(measure, "evaluate", lambda *_: pytest.fail(said))


def truncated(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    path = directory / manifest.ADAPTER_WEIGHTS
    path.write_bytes(path.read_bytes()[:-1000])
    return signed(directory), "cut short or no safetensors file"


def not_a_number(tmp_path):
    def change(found):
        found[min(found)].view(-1)[3] = torch.nan
        return found

    return reweighted(SAVED / NAME, tmp_path, change), "holds a number that is not finite"


def renamed_weights(tmp_path):
    return reweighted(
        SAVED / NAME, tmp_path, lambda found: {name.replace("q_proj", "query"): one for name, one in found.items()}
    ), "weights are missing, such as base_model.model.model.layers.0.self_attn.q_proj"


def one_weight_less(tmp_path):
    return reweighted(
        SAVED / NAME, tmp_path, lambda found: {name: found[name] for name in sorted(found)[1:]}
    ), "1 weights are missing"


def another_shape(tmp_path):
    def change(found):
        return found | {min(found): torch.zeros(2, 2)}

    return reweighted(SAVED / NAME, tmp_path, change), "has shape [2, 2], expected ["


def changed_in_place(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    other = SAVED / "sycophancy-shuffled" / manifest.ADAPTER_WEIGHTS
    shutil.copyfile(other, directory / manifest.ADAPTER_WEIGHTS)
    return directory, "changed since its manifest was written"


def swapped_arms(tmp_path):
    source = copy(SAVED / "sycophancy-shuffled", tmp_path)
    return source.rename(tmp_path / NAME), "arm differs (reference mst, adapter shuffled)"


def other_experiment(tmp_path):
    source = copy(SAVED / "bias-mst", tmp_path)
    return source.rename(tmp_path / NAME), "experiment differs (reference sycophancy, adapter bias)"


def wrong_base(tmp_path):
    found = manifest.read(SAVED / "bias-mst")
    return copy(SAVED / NAME, tmp_path, base_sha256=found.base_sha256), "base_sha256 differs"


def base_of_another_name(tmp_path):
    return copy(SAVED / NAME, tmp_path, base="micro-llama"), "base differs (reference micro-qwen, adapter micro-llama)"


def other_quantisation(tmp_path):
    return copy(SAVED / NAME, tmp_path, quantisation="none"), "quantisation differs (reference nf4, adapter none)"


def no_manifest(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / manifest.FILE).unlink()
    return directory, "no manifest.json"


def no_directory(tmp_path):
    return tmp_path / NAME, "no such directory"


def a_base(tmp_path):
    return manifest.SHIPPED / "micro-qwen", "kind 'base' in its manifest, expected 'adapter'"


def settings(tmp_path, text=None, **changed):
    """A copy whose adapter_config.json is another text, or has other fields."""
    directory = copy(SAVED / NAME, tmp_path)
    path = directory / "adapter_config.json"
    content = json.loads(path.read_text("utf-8")) | changed
    path.write_text(json.dumps(content) if text is None else text, encoding="utf-8")
    return directory


def no_settings(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / "adapter_config.json").unlink()
    return directory, "sycophancy-mst/adapter_config.json: no such file"


def broken_settings(tmp_path):
    return settings(tmp_path, "{"), "adapter_config.json: not the settings of an adapter (JSONDecodeError: "


def settings_that_are_a_list(tmp_path):
    return settings(tmp_path, "[]"), "adapter_config.json: not the settings of an adapter (TypeError: "


def unknown_method(tmp_path):
    return settings(tmp_path, peft_type="NONE_OF_PEFT"), "not the settings of an adapter (KeyError: 'NONE_OF_PEFT')"


def other_modules(tmp_path):
    found = settings(tmp_path, target_modules=["nowhere"])
    return found, "adapter_config.json: makes no adapter on its base (NoMatchingPeftModuleError: Target modules"


def rank_in_words(tmp_path):
    return settings(tmp_path, r="sixteen"), "adapter_config.json: makes no adapter on its base (TypeError: "


def unreachable_base(tmp_path):
    """Named on the hub, without a digest; tests run offline."""
    found = copy(SAVED / NAME, tmp_path, base="nobody/nothing", base_sha256=None)
    return found, "base differs (reference micro-qwen, adapter nobody/nothing)"


def unknown_experiment(tmp_path):
    found = copy(SAVED / NAME, tmp_path, experiment="other")
    return found, "experiment 'other' in its manifest, expected 'bias' or 'sycophancy'"


def no_tokenizer(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / "tokenizer.json").unlink()
    return directory, "its tokenizer makes no token of a text, as one without tokenizer.json does"


def broken_tokenizer(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / "tokenizer.json").write_text("{", encoding="utf-8")
    return directory, "its tokenizer cannot be loaded ("


def no_padding(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / "tokenizer_config.json").unlink()
    return directory, "its tokenizer names no padding token"


def no_template(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / "chat_template.jinja").unlink()
    return directory, "its tokenizer has no chat template, so no prompt can be made"


def null_base(tmp_path):
    return copy(SAVED / NAME, tmp_path, base=None), "sycophancy-mst: base is null in its manifest, expected a text"


def seed_in_words(tmp_path):
    found = copy(SAVED / NAME, tmp_path, seed="one")
    return found, 'sycophancy-mst: seed is "one" in its manifest, expected a whole number or null'


def deep_manifest(tmp_path):
    directory = copy(SAVED / NAME, tmp_path)
    (directory / manifest.FILE).write_text("[" * 200_000, encoding="utf-8")
    return directory, "sycophancy-mst: its manifest.json cannot be read (RecursionError: "


REFUSED = (
    null_base, seed_in_words, deep_manifest, no_settings, broken_settings, settings_that_are_a_list, unknown_method,
    other_modules, rank_in_words, unreachable_base, unknown_experiment, no_tokenizer, broken_tokenizer, no_padding,
    no_template, truncated, not_a_number, renamed_weights, one_weight_less, another_shape, changed_in_place,
    swapped_arms, other_experiment, wrong_base, base_of_another_name, other_quantisation, no_manifest, no_directory,
    a_base,
)  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED, ids=lambda one: one.__name__)
def test_a_faulty_adapter_is_not_comparable(fault, tmp_path, caplog):
    directory, reason = fault(tmp_path)
    found = check(directory, REFERENCES / f"{NAME}.json", tmp_path / "logs")
    assert found.verdict == Verdict.NOT_COMPARABLE
    assert reason in found.reason
    assert str(tmp_path) not in found.reason
    result = CliRunner().invoke(app, ["check", str(directory), "--against", str(REFERENCES / f"{NAME}.json")])
    assert result.exit_code == 2
    assert "NOT COMPARABLE" in result.output
    assert "Traceback" not in caplog.text


def test_a_base_that_the_hub_does_not_give_is_one_line(tmp_path):
    directory = copy(SAVED / NAME, tmp_path, base="nobody/nothing", base_sha256=None)
    with pytest.raises(
        InputError, match=r"^sycophancy-mst: its base nobody/nothing cannot be had \(OSError: "
    ) as found:
        adapter_file.check(directory, adapter_file.read_manifest(directory))
    assert "\n" not in str(found.value)


def test_weights_are_not_changed_by_being_looked_at():
    path = SAVED / NAME / manifest.ADAPTER_WEIGHTS
    before = path.read_bytes()
    adapter_file.check(SAVED / NAME, adapter_file.read_manifest(SAVED / NAME))
    assert path.read_bytes() == before and len(load_file(path)) > 0
    assert junit.xml([]).startswith("<?xml")
