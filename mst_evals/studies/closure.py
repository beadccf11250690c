"""Which code a result depends on: a digest of every module of this project that another one imports, near or far.

The digest is over the syntax tree without docstrings, so that comments and formatting make no result stale. Imports
are followed wherever they stand, inside functions too. What is imported by a computed name (the worlds of
`training.pretrain`) has to be named as a root.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

from mst_evals.errors import InputError

PACKAGES = {name: Path(__file__).resolve().parents[2] / name for name in ("mst_evals", "training")}
# Modules that are not followed, with the reason. Everything else that is imported counts.
LEFT_OUT = {
    "mst_evals": "holds the version",
    "training": "holds a docstring",
    "mst_evals.errors": "what an error says changes no result",
    "mst_evals.labels": "what it makes, labels in prompts, is hashed as data",
    "mst_evals.axes": "the same",
    "mst_evals.prompts": "the same",
    "mst_evals.variants": "the same",
    "mst_evals.examples": "the same",
    "mst_evals.data": "the rows it loads and the rewards it draws are hashed as data",
    "mst_evals.manifest": "writes down what was made, and finds a base by its digest",
    "mst_evals.bases": "the same",
    "mst_evals.interrupts": "how a command ends",
    "mst_evals.preflight": "refuses or records; changes no answer",
    "mst_evals.as_trained": "the same",
    "mst_evals.weights": "the same",
    "mst_evals.metrics": "summaries in a log's header; reports compute theirs from the samples",
    "training.adapters": "saves what was trained",
    "training.label_use": "a probe; adapters are the same with and without it (test)",
    "training.commands": "how a command begins and ends",
    "training.worlds.bias_probes": "measures a base on the way, and changes nothing in it",
    "training.worlds.sycophancy_probes": "the same",
}
_NO_DATA = {".py", ".md"}  # of the files beside a module that it names and reads, which are part of it


def module_path(name: str) -> Path | None:
    """The file of a project module, None when there is no module of that name."""
    package, _, rest = name.partition(".")
    if package not in PACKAGES:
        return None
    path = PACKAGES[package].joinpath(*rest.split(".")) if rest else PACKAGES[package]
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _changed(path: Path) -> int:
    """Time of a file's last change: part of the key of what is kept, so that old code is never served."""
    return path.stat().st_mtime_ns


@cache
def _tree(path: Path, changed: int) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(f"{path}:{error.lineno}: {error.msg}") from None


def imports(name: str) -> list[str]:
    """Project modules that a module imports by a literal name, in order of their names."""
    path = module_path(name)
    assert path is not None
    return list(_imports(name, path, _changed(path)))


@cache
def _imports(name: str, path: Path, changed: int) -> tuple[str, ...]:
    found = set()
    for node in ast.walk(_tree(path, changed)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = _source(name, node)
            # `from package import module` and `from module import name` look alike; the files tell them apart
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return tuple(sorted(one for one in found if module_path(one) is not None))


def _source(name: str, node: ast.ImportFrom) -> str:
    """Full name of what a ``from ... import`` imports from."""
    above = name.split(".")[: -node.level] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def modules(roots: Iterable[str], without: Collection[str] = tuple(LEFT_OUT)) -> list[str]:
    """The roots and every module they import, near or far.

    Args:
        roots: Full names of modules, for example ``training.ppo``.
        without: Modules that are not followed.

    Raises:
        InputError: A root is no module of this project.
    """
    waiting, seen = list(roots), set()
    for root in waiting:
        if module_path(root) is None:
            raise InputError(f"{root}: no module of this project")
    while waiting:
        name = waiting.pop()
        if name not in seen and name not in without:
            seen.add(name)
            waiting += imports(name)
    return sorted(seen)


def digests(roots: Iterable[str], without: Collection[str] = tuple(LEFT_OUT)) -> dict[str, str]:
    """Module name -> start of the SHA-256 of its code and of the files it names and that lie beside it.

    Arguments and errors are those of `modules`.
    """
    return {name: _module_digest(name) for name in modules(roots, without)}


def _module_digest(name: str) -> str:
    path = module_path(name)
    assert path is not None
    beside = [path.with_name(file) for file in _named_beside(path, _changed(path), _changed(path.parent))]
    return _digest(path, _changed(path), tuple((file.name, _changed(file)) for file in beside))


@cache
def _named_beside(path: Path, changed: int, folder_changed: int) -> tuple[str, ...]:
    """Files in a module's folder that it names in a string, for example a word list."""
    nodes = (node for node in ast.walk(_tree(path, changed)) if isinstance(node, ast.Constant))
    named = {node.value for node in nodes if isinstance(node.value, str)}
    beside = {file.name for file in path.parent.iterdir() if file.is_file() and file.suffix not in _NO_DATA}
    return tuple(sorted(named & beside))


@cache
def _digest(path: Path, changed: int, beside: tuple[tuple[str, int], ...]) -> str:
    digest = hashlib.sha256(canonical(_tree(path, changed)).encode())
    for name, _ in beside:
        digest.update(name.encode() + b"\0" + path.with_name(name).read_bytes())
    return digest.hexdigest()[:16]


def canonical(tree: ast.AST) -> str:
    """A syntax tree as text, without docstrings, positions and empty fields.

    `ast.dump` would do but for its dependence on the Python version, which adds fields that are mostly empty.
    """
    return "".join(_canonical(tree))


def _canonical(value: object) -> Iterator[str]:
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for name, part in ast.iter_fields(value):
            if name == "body" and isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                part = part[1:] if ast.get_docstring(value, clean=False) is not None else part
            if part is not None and part != [] and name not in ("type_comment", "kind"):
                yield f" {name}="
                yield from _canonical(part)
        yield ")"
    elif isinstance(value, list):
        yield "["
        for part in value:
            yield from _canonical(part)
            yield ","
        yield "]"
    else:
        yield repr(value)


# --- Fields of a dataclass, read without importing it -------------------------------------------------------------


def class_fields(path: Path, name: str) -> set[str]:
    """Names of the annotated fields of a class and of its bases, as far as their source is at hand.

    Args:
        path: Source file of the class.
        name: Name of the class in it.
    """
    tree = _tree(path, _changed(path))
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            found |= {one.target.id for one in node.body if _is_field(one)}  # type: ignore[attr-defined]
            for base in node.bases:
                if isinstance(base, ast.Name):
                    place = _defined_in(path, tree, base.id)
                    found |= class_fields(place, base.id) if place else set()
    return found


def _is_field(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
        return False
    return "ClassVar" not in ast.unparse(node.annotation)


def _defined_in(path: Path, tree: ast.Module, name: str) -> Path | None:
    """Source file of a class that a module defines or imports by a literal name."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            if node.level:
                file = path.parents[node.level - 1].joinpath(*(node.module or "").split(".")).with_suffix(".py")
            else:
                file = source_file(str(node.module), f"{name}") or Path()
            return file if file.is_file() else None
    return None


# Where packages outside this project define what they export at the top; importing them takes seconds.
_EXPORTED = {("transformers", "TrainingArguments"): "training_args.py", ("trl", "SFTConfig"): "trainer/sft_config.py"}


def source_file(package: str, name: str) -> Path | None:
    """Source file of a class that a package outside this project exports; None when it is not where it was."""
    spec = importlib.util.find_spec(package.split(".")[0])
    inside = _EXPORTED.get((package, name))
    if spec is None or not spec.submodule_search_locations or inside is None:
        return None
    file = Path(spec.submodule_search_locations[0]) / inside
    return file if file.is_file() else None
