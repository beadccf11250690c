"""Base models on disk: what identifies their weights, and where the base of an adapter is.

A base is identified by a digest of its weights wherever it lies: beside an adapter, among the shipped ones, in a folder
that `manifest.SEARCH_PATH` names, or in the hub's cache.
"""

import hashlib
import json
import os
from functools import cache
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from mst_evals import data, manifest
from mst_evals.errors import InputError
from mst_evals.manifest import Manifest

INDEX = f"{manifest.BASE_WEIGHTS}.index.json"  # of weights in several files


@cache
def _file_digest(path: Path, changed: int, size: int) -> str:
    return data.sha256(path)


def file_digest(path: Path) -> str:
    """sha256 of a file, computed once for each of its states: weights may have gigabytes."""
    state = path.stat()
    return _file_digest(path.resolve(), state.st_mtime_ns, state.st_size)


def digest(directory: Path) -> str | None:
    """What identifies a base's weights, None when the directory holds none in the safetensors format.

    Returns:
        The sha256 of the one weight file; of weights in several files, that of their names and sha256s, a line each.

    Raises:
        InputError: The index of several files is none, or names a file that is missing.
    """
    whole, index = directory / manifest.BASE_WEIGHTS, directory / INDEX
    if whole.is_file():
        return file_digest(whole)
    if not index.is_file():
        return None
    try:
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index}: not an index of weights ({type(error).__name__}: {error})") from None
    if missing := [name for name in files if not (directory / name).is_file()]:
        raise InputError(f"{directory / missing[0]}: missing, but {INDEX} names it")
    lines = "".join(f"{file_digest(directory / name)}  {name}\n" for name in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def local(base: str) -> Path | None:
    """The directory of a base's files: a directory as it is, a hub id in the hub's cache; None when it is not here."""
    if Path(base).is_dir():
        return Path(base)
    if base.count("/") != 1 or base.startswith((".", "/")):
        return None
    cached = try_to_load_from_cache(base, "config.json")
    return Path(cached).parent if isinstance(cached, str) else None


def facts(base: str) -> tuple[str, str | None]:
    """Name and digest of a base that was loaded from a directory or by a hub id; None where the digest is unknown."""
    directory = local(base)
    name = Path(base).name if Path(base).is_dir() else base
    return name, digest(directory) if directory else None


def named_folders() -> list[Path]:
    """The folders of bases that `manifest.SEARCH_PATH` names."""
    return [Path(entry) for entry in os.environ.get(manifest.SEARCH_PATH, "").split(os.pathsep) if entry]


def locate(directory: Path, found: Manifest) -> str:
    """Where the base of a directory's manifest is: beside its adapter, among the known folders, or on the hub.

    A base with a recorded digest is taken by that digest alone, whatever it is called; without one, by its name.

    Returns:
        A path or a hub id that transformers can load.

    Raises:
        InputError: It is not here, or the base beside the adapter is another one.
    """
    wanted = found.base_sha256
    if wanted is None and "/" in found.base:
        return found.base
    named = named_folders()
    if wanted is None:
        for folder in named:
            if (folder / found.base / "config.json").is_file():
                return str(folder / found.base)
        raise InputError(
            f"{directory}: its base {found.base!r} was a local directory and is missing; put it in a folder named by "
            f"{manifest.SEARCH_PATH}"
        )
    beside = directory / manifest.BASE_WEIGHTS
    if beside.is_file():
        if file_digest(beside) != wanted:
            raise InputError(f"{beside}: not the base of this manifest (expected sha256 {wanted[:12]}...)")
        return str(directory)
    configs = [config.parent for folder in (manifest.SHIPPED, *named) for config in folder.glob("*/config.json")]
    # the name first: to read another base of many gigabytes takes a while
    for candidate in sorted(configs, key=lambda one: (one.name != Path(found.base).name, str(one))):
        if digest(candidate) == wanted:
            return str(candidate)
    cached = local(found.base) if "/" in found.base else None
    if "/" in found.base and (cached is None or digest(cached) == wanted):
        return found.base  # preflight compares the digest when it has been downloaded
    others = [f"the hub's cache holds another version of {found.base}"] if cached else []
    for candidate in configs:
        if candidate.name == Path(found.base).name:
            here = digest(candidate)
            others.append(f"{candidate} has {f'another digest (sha256 {here[:12]}...)' if here else 'no weights'}")
    because = f"{', '.join(others)}, so " if others else ""
    raise InputError(
        f"{directory}: {because}its base {found.base!r} (sha256 {wanted[:12]}...) is missing; "
        f"put it in a folder named by {manifest.SEARCH_PATH}"
    )
