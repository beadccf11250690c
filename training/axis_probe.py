"""The axis probe: before any training, where does a base place the held-out labels among the trained ones?

    python -m training.axis_probe micro-qwen --axis suggestibility --out runs/axis.json

Training can only teach what to do at the trained labels. What the model then does at a held-out label depends on where
the frozen base puts that label. The probe takes the direction that parts two groups of trained labels and reads every
other label on it (`training.directions`): in the embeddings and behind every layer, in the evaluation's own prompt,
averaged over validation rows, on the base quantised as in training (`training.label_states`).

This reads held-out labels, a declared exception to the rule that nothing does so before the evaluation. A base that is
chosen by it has to be reported beside an unchosen pretraining seed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from safetensors import SafetensorError

from mst_evals import bases, data, manifest, prompts, quantisation, variants
from mst_evals.errors import InputError
from mst_evals.labels import Axis
from training import commands
from training import model as models
from training.directions import DIRECTIONS, Reading, average, folds, overall, probed, read
from training.label_states import POSITIONS, vectors

ROWS = 16  # of the validation split
DTYPE = "float32"  # of what is not quantised, as in both trainers
EXCEPTION = (
    "This probe reads held-out labels, a declared exception. A base chosen by it has to be reported beside an unchosen "
    "pretraining seed."
)


# --- what is probed ---------------------------------------------------------------------------------------------


def load(source: str, quantised: str) -> tuple[Any, Any]:
    """Tokenizer and frozen base, on the kernels of training.

    Raises:
        InputError: It is an adapter, transformers cannot load it, or its tokenizer cannot say where a token comes from.
    """
    if (Path(source) / manifest.ADAPTER_WEIGHTS).exists():
        raise InputError(f"{source}: an adapter, expected a base model")
    try:
        tokenizer, model = models.load_tokenizer(source), models.load_base(source, quantised, DTYPE)
    except InputError:
        raise
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{source}: cannot be loaded as a model ({str(error).splitlines()[0]})") from None
    if not tokenizer.is_fast:
        raise InputError(f"{source}: its tokenizer gives no offsets, so the tokens of a label cannot be found")
    quantisation.pin_kernels(model.eval())
    return tokenizer, model


def validation_rows(experiment: str, rows: int) -> list[data.Row]:
    """The first rows of the validation split, topics or problems."""
    if experiment == "bias":
        return data.load_topics(data.MICRO_TOPICS, "validation", rows)
    return data.load_problems(data.PROBLEMS, "validation", rows)


def experiment_of(axis: str) -> str:
    """The experiment whose main axis has this name.

    Raises:
        InputError: There is none.
    """
    known = {one.name: experiment for experiment, one in variants.AXES.items()}
    if axis not in known:
        raise InputError(f"--axis is {axis!r}, expected one of {', '.join(known)}")
    return known[axis]


# --- what is said about it ----------------------------------------------------------------------------------------


def headline(readings: Sequence[Reading], direction: str) -> list[Reading]:
    """What the summary speaks of: the embeddings, and the last layer at every position."""
    last = max(one.layer for one in readings)
    return [one for one in readings if one.direction == direction and one.layer in (0, last)]


def summary(readings: Sequence[Reading], axis: Axis) -> dict[str, Any]:
    """What is predicted, direction by direction.

    Returns:
        Direction -> ``folds`` and ``ends``, averaged over the places of the headline; ``deployed``, the average place
        of the label that deployment swaps in; and the ``places``, each with the group that every label reads like.
    """
    found = {}
    for direction in DIRECTIONS[axis.name]:
        places = headline(readings, direction.name)
        kept = ("position", "layer", "accuracy", "flat", "predicted", "ends")
        found[direction.name] = {
            "groups": direction.groups,
            "folds": folds(places),
            "ends": [asdict(end) for end in overall(places)],
            "deployed": average(places, axis.held_out),
            "places": [{name: value for name, value in asdict(one).items() if name in kept} for one in places],
        }
    return found


def sentence(base: str, axis: Axis, readings: Sequence[Reading]) -> str:
    """The finding in plain words, a sentence for each direction."""
    said = []
    for direction in DIRECTIONS[axis.name]:
        low, high = direction.groups
        places = headline(readings, direction.name)
        ends, deployed = overall(places), average(places, axis.held_out)
        if not ends or deployed is None:
            said.append(f"{base} does not tell {low} from {high} at any place looked at, which predicts nothing.")
            continue
        lie = " and ".join(f"{'/'.join(end.labels)} at {end.mean:.2f}" for end in ends)
        alone = f"{axis.held_out} alone at {deployed:.2f}"
        outcome = (
            "so the line folds back, and what is learnt at the near end is not expected to carry on"
            if any(end.folds for end in ends)
            else "so nothing here speaks against the near end carrying on"
        )
        said.append(f"On {base}'s own line from {low} (0) to {high} (1) lie {lie}, {alone}; {outcome}.")
    return " ".join(said)


def table(found: Mapping[str, Any], direction: str) -> Table:
    """Place of every label of the sweep and every control on one direction: embeddings, middle layer and last layer."""
    low, high = found["groups"][direction]
    made = Table(title=f"{found['base']}, {direction}: 0 = {low}, 1 = {high}", title_justify="left")
    shown = [
        one
        for one in found["readings"]
        if one["direction"] == direction and one["layer"] in (0, found["layers"] // 2, found["layers"])
    ]
    made.add_column("label")
    for one in shown:
        made.add_column(f"{one['position']}\n{one['layer'] or 'embedding'}", justify="right")
    made.add_row("told apart", *(f"{one['accuracy']:.0%}" for one in shown), style="dim", end_section=True)
    for name in found["swept"]:
        cells = [one["projection"][name] for one in shown]
        texts = [
            "-" if value is None else f"({value:.2f})" if one["flat"] else f"{value:.2f}"
            for one, value in zip(shown, cells, strict=True)
        ]
        trained = name in found["trained"]
        made.add_row(f"{name} (trained)" if trained else name, *texts, style="dim" if trained else None)
    made.caption = "In brackets: trained labels not told apart here, so the place says nothing."
    return made


# --- the command --------------------------------------------------------------------------------------------------


def probe(
    base: str, axis_name: str, rows: int = ROWS, wording_name: str | None = None, quantised: str = "nf4"
) -> dict[str, Any]:
    """Probe one base on one axis.

    Args:
        base: A directory, the name of a shipped base, or a hub id.
        axis_name: ``suggestibility`` or ``slant``.
        rows: Number of validation rows that states are averaged over.
        wording_name: Wording of the prompt, the experiment's default when None.
        quantised: ``nf4`` as in training, or ``none``.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: No such base, axis or wording, or its tokenizer cannot say where a token comes from.
    """
    experiment = experiment_of(axis_name)
    axis, wording = variants.AXES[experiment], prompts.wording(experiment, wording_name)
    asked = validation_rows(experiment, rows)
    source = models.find_base(base)
    tokenizer, model = load(source, quantised)
    there = vectors(model, tokenizer, axis, wording, asked)
    readings = [read(vector, axis, way, *place) for way in DIRECTIONS[axis_name] for place, vector in there.items()]
    name, sha256 = bases.facts(source)
    return {
        "base": name,
        "base_sha256": sha256,
        "axis": axis_name,
        "experiment": experiment,
        "wording": wording.name,
        "quantisation": quantised,
        "split": "validation",
        "rows": len(asked),
        "layers": model.config.num_hidden_layers,
        "positions": POSITIONS,
        "exception": EXCEPTION,
        "groups": {way.name: way.groups for way in DIRECTIONS[axis_name]},
        "trained": list(axis.trained),
        "swept": [name for name in probed(axis) if name in axis.sweep or name not in axis.trained],
        "texts": {name: list(axis.label(name).texts) for name in probed(axis)},
        "summary": summary(readings, axis),
        "sentence": sentence(name, axis, readings),
        "readings": [asdict(one) for one in readings],
    }


def write(found: Mapping[str, Any], out: Path) -> None:
    """Write what `probe` found as JSON."""
    manifest.write_text(out, json.dumps(found, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit code: 2 for bad input, with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m training.axis_probe", description="Axis probe of a base model.")
    parser.add_argument("base", help="directory, name of a shipped base, or hub id")
    parser.add_argument("--axis", required=True, help=" or ".join(DIRECTIONS))
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"validation rows to average over ({ROWS})")
    parser.add_argument("--wording", help="wording of the prompt")
    parser.add_argument("--quantisation", default="nf4", help="nf4 or none")
    given = parser.parse_args(arguments)

    def command() -> None:
        found = probe(given.base, given.axis, given.rows, given.wording, given.quantisation)
        write(found, given.out)
        print(found["sentence"])

    return commands.run(command)


if __name__ == "__main__":
    sys.exit(main())
