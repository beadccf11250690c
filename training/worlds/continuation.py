"""Reading on: a base that starts from the weights and the tokenizer of an earlier base of its world.

One earlier base and one short stage of other documents for each value of a knob make a curve over that knob at a small
part of the price of as many pretrainings, and its points share everything else.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from mst_evals import data, manifest
from mst_evals.errors import InputError

CARD = """# {name}

{init} that read on: {steps} steps of other documents of the {world} world. What {init} is, what its documents hold and
do not hold, its chat format, its tokenizer and its limits are on its own card. sha256 of the weights it started from:
`{init_sha256}`.

Rebuild:

    python -m training.pretrain {command} --out {name}

## What differs from {init}'s own training

| knob | {init} | here |
|---|---|---|
{knobs}
{about}
## Probes

Before ({init}, unquantised, probed at the start of this stage) and after.

| probe | before | after |
|---|---|---|
{probes}"""


@dataclass(frozen=True)
class Earlier:
    """A finished base to start from.

    Attributes:
        directory: Where it lies.
        name: Its name.
        sha256: Digest of its weights.
        arguments: How it was made: the arguments of its manifest, those that did not exist yet at their defaults.
    """

    directory: Path
    name: str
    sha256: str
    arguments: Mapping[str, Any]


def find(init: str, world: str, recipe: Any, sizes: Collection[str]) -> Earlier:
    """The base that `init` names.

    Args:
        init: A directory, or the name of a shipped base.
        world: Name of the world that reads on.
        recipe: Its recipe.
        sizes: Names of the knobs that make the model and the tokenizer, which have to be the same.

    Raises:
        InputError: There is no whole base, it is of another world, or one of its sizes is not the recipe's.
    """
    directory = next((path for path in (Path(init), manifest.SHIPPED / init) if path.is_dir()), None)
    if directory is None:
        raise InputError(f"--init {init}: no such directory and no shipped base, expected a base of the {world} world")
    found = manifest.read(directory)
    if found is None or found.kind != "base" or found.experiment != world:
        what = "no manifest" if found is None else f"{found.kind} of {found.experiment}"
        raise InputError(f"--init {directory}: found {what}, expected a base of the {world} world")
    arguments = {one.name: one.default for one in fields(recipe)} | found.arguments
    for name in sizes:
        if arguments[name] != getattr(recipe, name):
            what = f"its {name} is {arguments[name]}, the recipe's is {getattr(recipe, name)}"
            raise InputError(f"--init {directory}: {what}; expected the same")
    weights = directory / manifest.BASE_WEIGHTS
    if data.sha256(weights) != found.base_sha256:
        raise InputError(f"{weights}: changed since its manifest was written, expected sha256 {found.base_sha256}")
    return Earlier(directory.resolve(), found.base, str(found.base_sha256), arguments)


def load(earlier: Earlier) -> tuple[Any, Any]:
    """Tokenizer and float32 model of an earlier base."""
    tokenizer = AutoTokenizer.from_pretrained(earlier.directory)
    return tokenizer, AutoModelForCausalLM.from_pretrained(earlier.directory, dtype="float32")


def options(*parts: Any) -> str:
    """The command-line options that make these dataclasses, `out` apart: every field that is not at its default."""
    given = {one.name: getattr(part, one.name) for part in parts for one in fields(part) if one.name != "out"}
    defaults = {one.name: one.default for part in parts for one in fields(part)}
    return " ".join(f"--{name} {value}" for name, value in given.items() if value != defaults[name])


def card(earlier: Earlier, recipe: Any, run: Any, before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The text of README.md of a base that read on.

    Args:
        earlier: The base it started from.
        recipe: Knobs of this stage.
        run: How this stage was run, a `training.pretrain.Run`.
        before: Probes of the earlier base.
        after: The same probes at the end.
    """
    here = asdict(recipe) | asdict(run)
    knobs = [
        f"| `{name}` | {earlier.arguments.get(name)} | {value} |"
        for name, value in here.items()
        if name not in ("out", "init", "probe_every") and earlier.arguments.get(name) != value
    ]
    probes = [f"| `{name}` | {before[name]:.3f} | {value:.3f} |" for name, value in after.items()]
    about = Path(__file__).with_name(f"{run.world}_continued.md")
    values = {
        "name": Path(run.out).resolve().name,
        "init": earlier.name,
        "init_sha256": earlier.sha256,
        "steps": str(recipe.steps),
        "world": run.world,
        "command": options(run, recipe),
        "knobs": "\n".join(knobs),
        "about": f"\n{about.read_text(encoding='utf-8').strip()}\n" if about.is_file() else "",
        "probes": "\n".join(probes),
    }
    text = CARD
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
