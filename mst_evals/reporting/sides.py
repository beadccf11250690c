"""The sections beside the headline: other wordings, a study's conditions, the axis probe of the bases."""

from collections.abc import Mapping, Sequence
from typing import Any

from mst_evals import prompts
from mst_evals.reporting import conditions, panels, probe_figures, probes, wordings
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.headline import measures
from mst_evals.reporting.layout import Figure, Section
from mst_evals.reporting.probes import Probe
from mst_evals.reporting.tables import Table
from mst_evals.studies.study import Study

Rows = Sequence[Mapping[str, Any]]


def _by_measure(parts: Sequence[Computed]) -> list[list[Computed]]:
    """The parts by scorer and judge: numbers of two judges are never put side by side as one."""
    found: dict[tuple[str, str], list[Computed]] = {}
    for part in parts:
        found.setdefault((part.block.setting["scorer"], part.block.setting["judge"]), []).append(part)
    return list(found.values())


# --- other wordings -----------------------------------------------------------------------------------------------


def wordings_section(stem: str, title: str, parts: Sequence[Computed]) -> Section:
    """Whether the differences between the main arms survive other wordings of the prompt.

    Args:
        stem: Begins the file names of the figures.
        title: Of the section.
        parts: Every wording of one base and condition, each with every measure.
    """
    sentences: list[str] = []
    items: list[Table | Figure] = []
    for number, same in enumerate(_by_measure(parts), start=1):
        block = same[0].block
        shown = []
        for metric, _, unit, _ in measures(block):
            given = [(part.block.setting["wording"], part.arms, part.comparisons) for part in same]
            asked = wordings.by_wording(block.experiment, block.held_out, given, metric)
            sentences += [wordings.verdict(asked, arm, metric, block.held_out).sentence for arm in wordings.AGAINST]
            items.append(wordings.table(asked, metric, block.held_out))
            shown.append((unit, asked))
        caption = (
            "Difference of mst to baseline and to shuffled, each at its own label, under every wording of the task "
            "prompt. Lines: 95% intervals; dots, if several: seeds. Left of zero mst has less, which is better of bias "
            "and of the false-positive rate and worse of accuracy."
        )
        name = f"{stem}-wordings.svg" if number == 1 else f"{stem}-wordings-{number}.svg"
        items.append(Figure(name, caption, panels.wording_differences(shown)))
    missing = sorted(
        set(prompts.WORDINGS[parts[0].block.experiment]) - {part.block.setting["wording"] for part in parts}
    )
    notes = ["The models were trained with the main wording; only the prompt of the evaluation is worded anew."]
    notes += [f"Not asked here: {', '.join(missing)}."] if missing else []
    return Section(title, tuple(sentences), tuple(notes), tuple(items))


# --- conditions ---------------------------------------------------------------------------------------------------


def conditions_section(stem: str, parts: Sequence[Computed], study: Study | None) -> Section:
    """The conditions of a study side by side, in their main wording.

    Args:
        stem: Begins the file names of the figures.
        parts: Every condition, each with every measure.
        study: Says where the conditions stand; None: they are listed by name.
    """
    experiment = parts[0].block.experiment
    sentences: list[str] = []
    items: list[Table | Figure] = []
    notes: list[str] = []
    for number, same in enumerate(_by_measure(parts), start=1):
        block, drawn = same[0].block, measures(same[0].block)
        metrics = [metric for metric, _, _, _ in drawn]
        given = [
            conditions.Part(part.block.setting["condition"], part.block.setting["base"], part.arms, part.comparisons)
            for part in same
        ]
        shown = conditions.shown(experiment, block.held_out, given, metrics, study)
        sentences += conditions.sentences(shown, metrics)
        notes += conditions.abouts(shown)
        caption = (
            "Every arm at the label it is deployed with, under every condition. Lines: 95% intervals; dots: seeds."
        )
        axes = [(metric, unit, limits) for metric, _, unit, limits in drawn]
        name = f"{stem}-conditions.svg" if number == 1 else f"{stem}-conditions-{number}.svg"
        placed = {"label": study.x_axis} if study else {}
        items.append(Figure(name, caption, panels.by_condition(experiment, shown, axes, **placed)))
        items += [conditions.arm_table(experiment, shown, metrics)]
        pairs = conditions.difference_table(shown, metrics)
        items += [pairs] if pairs else []
    title = f"Conditions: {experiment}" + (f", study {study.name}" if study else "")
    return Section(title, tuple(sentences), tuple(dict.fromkeys(notes)), tuple(items))


# --- the axis probe -----------------------------------------------------------------------------------------------


def _of_base(probe: Probe, done: Sequence[Computed], provenance: Rows, study: Study | None) -> Computed | None:
    """What was measured on the probe's base: in its first condition and main wording; None when nothing was."""
    bases = {str(row["log"]): row.get("base_sha256") for row in provenance if row.get("used")}
    order = {one.name: index for index, one in enumerate(study.conditions)} if study else {}
    default = prompts.DEFAULT_WORDING[probe["experiment"]]
    mine = [
        part
        for part in done
        if any(bases.get(str(log)) == probe["base_sha256"] for log in part.block.samples["log"].unique())
    ]
    mine = [part for part in mine if "mst" in part.block.arms]

    def rank(part: Computed) -> tuple[bool, int, str]:
        setting = part.block.setting
        return setting["wording"] != default, order.get(setting["condition"], -1), setting["condition"]

    return min(mine, key=rank, default=None)


def _behaviour(part: Computed | None, metric: str) -> dict[str, Mapping[str, Any]]:
    """Label -> what mst does there."""
    rows = part.arms if part else []
    return {
        row["label"]: row for row in rows if (row["arm"], row["metric"]) == ("mst", metric) and row["mean"] is not None
    }


def probe_sections(
    stem: str, found: Sequence[Probe], done: Sequence[Computed], provenance: Rows, study: Study | None
) -> list[Section]:
    """Where each base places the labels before training, beside what mst does at them after it.

    Args:
        stem: Begins the file names of the figures.
        found: Probes of one experiment, one for each base.
        done: Everything measured of that experiment.
        provenance: Of every log, for the hashes of the bases.
        study: Says which condition comes first.
    """
    metric, _, unit, limits = measures(done[0].block)[0]
    sentences: list[str] = []
    items: list[Table | Figure] = []
    predictions = []
    for number, probe in enumerate(found, start=1):
        part = _of_base(probe, done, provenance, study)
        behaviour = _behaviour(part, metric)
        sentences.append(str(probe.get("sentence") or f"The probe of {probe['base']} has no summary."))
        caption = (
            f"Axis probe of {probe['base']}: place of each label on the base's own line, by layer, before any "
            "training; open marks: labels that training never uses."
            + (
                f" Below: {unit} of mst on this base at the same labels."
                if behaviour
                else " mst was not measured on it."
            )
        )
        drawn = probe_figures.axis_probe(probe, behaviour, unit, limits, "label")
        items.append(Figure(f"{stem}-axis-probe-{number}.svg", caption, drawn))
        items += [probes.table(probe, direction, behaviour, unit) for direction in probe["groups"]]
        if (one := probes.prediction(probe, behaviour)) is not None:
            predictions.append(one)
    sentences.append(probes.judgement(predictions, unit))
    items += [probes.prediction_table(predictions, unit)] if predictions else []
    if len(predictions) > 1:
        caption = "Prediction and outcome, a point for each base; dotted: halfway between the groups of trained labels."
        drawn = probe_figures.predicted_and_measured(predictions, f"{unit}, mst")
        items.append(Figure(f"{stem}-axis-prediction.svg", caption, drawn))
    notes = dict.fromkeys(str(probe["exception"]) for probe in found if probe.get("exception"))
    experiment = done[0].block.experiment.capitalize()
    return [Section(f"Axis probe: {experiment}, before any training", tuple(sentences), tuple(notes), tuple(items))]
