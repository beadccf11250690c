"""Digests of base models, and bases in the hub's cache."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mst_evals import bases, manifest
from mst_evals.errors import InputError

HUB = "owner/name"
ADAPTER = manifest.Manifest(
    kind="adapter", experiment="bias", arm="mst", seed=0, method="sft", wording="standard", base=HUB, base_sha256=None,
    adapter_sha256=None, data_sha256=None, quantisation="nf4",
)  # fmt: skip


def sharded(directory: Path, parts: dict[str, bytes]) -> Path:
    """A base whose weights are several files."""
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    for name, content in parts.items():
        (directory / name).write_bytes(content)
    (directory / bases.INDEX).write_text(json.dumps({"weight_map": {f"w{i}": name for i, name in enumerate(parts)}}))
    return directory


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Puts a base into a hub cache of this test, as `huggingface_hub` lays it out."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(weights: bytes) -> Path:
        folder = tmp_path / "hub" / "models--owner--name"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        commit = bytes([weights[0]] * 20).hex()
        (folder / "refs" / "main").write_text(commit)
        return sharded(folder / "snapshots" / commit, {"model-1.safetensors": weights})

    return put


def test_a_digest_of_several_files_depends_on_each_content_and_name(tmp_path):
    one, two = {"a.safetensors": b"1", "b.safetensors": b"2"}, {"a.safetensors": b"1", "b.safetensors": b"3"}
    renamed = {"a.safetensors": b"1", "c.safetensors": b"2"}
    found = [bases.digest(sharded(tmp_path / str(i), parts)) for i, parts in enumerate((one, two, renamed, one))]
    assert len(set(found[:3])) == 3 and found[0] == found[3]
    assert bases.digest(manifest.SHIPPED / "micro-qwen") == bases.file_digest(
        manifest.SHIPPED / "micro-qwen" / manifest.BASE_WEIGHTS
    )
    assert bases.digest(tmp_path) is None


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("{", "not an index of weights"),
        ("[]", "not an index of weights"),
        ('{"weight_map": {"w": "gone.safetensors"}}', "gone.safetensors: missing, but model.safetensors.index.json"),
    ],
)
def test_a_broken_index_is_one_line(tmp_path, index, expected):
    (tmp_path / bases.INDEX).write_text(index)
    with pytest.raises(InputError, match=rf"^[^\n]*{expected}[^\n]*$"):
        bases.digest(tmp_path)


def test_a_base_of_the_hub_has_the_digest_of_its_cached_weights(tmp_path, cached):
    assert bases.facts(HUB) == (HUB, None)
    first = cached(b"first")
    assert bases.local(HUB) == first
    assert bases.facts(HUB) == (HUB, bases.digest(first))


def test_a_base_of_the_hub_that_has_changed_since_training_is_refused(tmp_path, cached):
    found = replace(ADAPTER, base_sha256=bases.digest(cached(b"first")))
    assert bases.locate(tmp_path, found) == HUB
    cached(b"second")
    with pytest.raises(InputError, match=r"^[^\n]*the hub's cache holds another version of owner/name[^\n]*$"):
        bases.locate(tmp_path, found)


def test_a_base_of_the_hub_that_is_not_downloaded_yet_is_named(tmp_path, cached):
    assert bases.locate(tmp_path, replace(ADAPTER, base_sha256="0" * 64)) == HUB
    assert bases.locate(tmp_path, ADAPTER) == HUB


def test_a_local_copy_of_the_trained_version_is_taken(tmp_path, cached, monkeypatch):
    found = replace(ADAPTER, base_sha256=bases.digest(cached(b"first")))
    cached(b"second")
    copy = sharded(tmp_path / "bases" / "mine", {"model-1.safetensors": b"first"})
    monkeypatch.setenv(manifest.SEARCH_PATH, str(copy.parent))
    assert bases.locate(tmp_path, found) == str(copy)
