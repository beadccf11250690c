"""A run beside the published numbers: `mst report --against published`.

Sizes compare only where the base model and the judge are the source's; everywhere else the run's value stands beside
the published one with the reason and no difference is given. Without a run the tables have an empty column, to be
filled.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from mst_evals import prompts
from mst_evals.reporting import published, refusals, results
from mst_evals.reporting.computed import Computed
from mst_evals.reporting.layout import Section
from mst_evals.reporting.phrases import number, p_value, percent, seed_count
from mst_evals.reporting.published import SCORE, Measured, P, Published
from mst_evals.reporting.results import Block
from mst_evals.reporting.tables import Table

Rows = Sequence[Mapping[str, Any]]

BASES = {"bias": "Llama-3.2-3B-Instruct", "sycophancy": "Qwen2.5-7B-Instruct"}
JUDGE = "Claude 3.5 Sonnet"
TEMPERATURE = 0.7  # of the source's articles
QUANTISATION = "nf4"
POST = '"Teaching Models to Dream of Better Monitors through Monitor Sensitive Training" or its edited version'
STUDIES = {name: f"training/configs/studies/paper-{name}.yaml" for name in BASES}
OUR_OWN = ("other topics", "this project's rubric", "the judge reads the article alone")
SIZE = {"bias": "200 topics", "sycophancy": "2,560 problems in training, an unstated number at evaluation"}
HEADER = (
    "arm (label)", "what", "the source", "where", "this run", "95% interval", "seeds", "rows", "difference",
    "comparable?",
)  # fmt: skip
NOTES = {
    "bias": (
        "† From the authors' printed tables, as reported to this project; they cannot be checked here. Everything else "
        f"is printed in {POST}. Nothing was read off a figure: what a figure draws and no text prints has an empty "
        "place. Figure 1f (two closing paragraphs) has no number.",
        f"The source: {BASES['bias']}, {JUDGE} as judge (since retired), {SIZE['bias']}, one training seed, no "
        "intervals. Its judge was shown the prompt and the label, its failed judge replies counted as 5.0 and PARTIAL, "
        "and its topics were those of the validation split †; here none of that is so. Its topics and its rubric are "
        "not at hand, so ours stand in their place in every row.",
        f"A difference is given only with the source's base and a judge of the kind {JUDGE}. With another base, judge "
        "or a lexical proxy signs and orders compare, never sizes. Where this run has several seeds, topics are "
        "counted and compared after averaging over them; p is not adjusted, nor was the source's.",
    ),
    "sycophancy": (
        f"The numbers are printed in {POST}; figures are numbered as in the latter. Figures 2b to 2d are drawn, and "
        "their numbers printed nowhere in the texts at hand: those places are empty. "
        "Of figure 2d the text says that stricter labels reduce sycophancy to near zero, with a slight uptick around "
        "0%; which labels it draws is not known, so the rows are the labels that are swept here.",
        f"The source: {BASES['sycophancy']}, {SIZE['sycophancy']}, one training seed, no intervals. Its 47.3% stands "
        "twice, since its denominator is in doubt.",
        "The unlabelled baseline is paid the same for either answer to a wrong candidate, so its FPR is arbitrary and "
        "must be read with its accuracy.",
    ),
}


@dataclass(frozen=True)
class Beside:
    """A published number with what a run has in its place.

    Attributes:
        published: The number.
        run: What was measured; None: nothing.
        obstacles: Why the two do not compare; empty: they do.
        caveats: What a comparison hangs on all the same.
    """

    published: Published
    run: Measured | None = None
    obstacles: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """The run minus the source, None where there is nothing to subtract or the two do not compare."""
        value = self.published.value
        subtracted = self.published.measure.unit != P and not self.obstacles
        return self.run.value - value if self.run and value is not None and subtracted else None

    @property
    def sentence(self) -> str:
        """What makes the two comparable or not; empty where the run has nothing."""
        if self.run is None:
            return ""
        if self.obstacles:
            return f"not comparable: {'; '.join(self.obstacles)}"
        if self.published.measure.unit == P:
            return "comparable, but p values are not subtracted"
        if self.published.value is None:
            return "nothing to subtract: the source prints no number"
        same = "comparable: same base and judge" if self.published.experiment == "bias" else "comparable: same base"
        return "; ".join((same, *self.caveats))


# --- what compares ------------------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    """The last part of a model's name, letters and digits alone: hubs spell one model in several ways."""
    return re.sub(r"[^a-z0-9]", "", name.split("@")[0].rsplit("/", 1)[-1].lower())


def _is_judge(judge: str) -> bool:
    return "claude35sonnet" in _plain(judge)


def block_obstacles(block: Block) -> tuple[str, ...]:
    """Why no number of a block compares with a published one, one clause each; empty when they do.

    The caption of the table says which base, judge and so on those are.
    """
    setting, found = block.setting, list[str]()
    if _plain(setting["base"]) != _plain(BASES[block.experiment]):
        found.append("another base")
    if block.experiment == "bias" and not setting["scorer"].startswith("bias_rubric"):
        found.append("a lexical proxy")
    elif block.experiment == "bias" and not _is_judge(setting["judge"]):
        found.append("another judge")
    if setting["split"] != "test":
        found.append("another split")
    if setting["wording"] not in ("", prompts.DEFAULT_WORDING[block.experiment]):
        found.append("another wording")
    if setting["condition"]:
        found.append("another condition")
    return tuple(found)


def _of_logs(headers: Rows, block: Block, one: Published) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Obstacles and caveats that the logs of one number's arms tell: precision, temperature."""
    arms = {one.arm, "mst"} if one.measure.pair else {one.arm}
    names = set(block.samples.loc[block.samples["arm"].isin(arms), "log"])
    mine = [header for header in headers if header["log"] in names]
    used = {name for row in mine if (name := refusals.asked(row).get("quantisation"))}  # hosted models tell none
    obstacles = tuple(f"quantisation {name}, not {QUANTISATION}" for name in sorted(used - {QUANTISATION}))
    if block.experiment != "bias":
        return obstacles, ()
    warm = sorted({str(row.get("temperature")) for row in mine if row.get("temperature") not in (None, "")})
    other = [text for text in warm if float(text) != TEMPERATURE]
    sampled = (f"sampled at temperature {', '.join(other)}, not {TEMPERATURE}",) if other else ()
    return obstacles, (*OUR_OWN, *sampled)


def chosen(done: Sequence[Computed]) -> list[Computed]:
    """The blocks that are set beside the source: the main wording of the main condition of each base and measure.

    The lexical proxy is left out where a judge has graded the same articles.
    """
    usable = [part for part in done if part.block.setting["choice"] != results.EXISTING]

    def same(part: Computed) -> tuple[str, ...]:
        keys = ("experiment", "split", "data_sha256", "choice", "base", "scorer", "judge")
        return tuple(part.block.setting[key] for key in keys)

    best = []
    for _, parts in groupby(sorted(usable, key=same), key=same):
        best.append(min(parts, key=lambda part: (len(block_obstacles(part.block)), -len(part.block.arms))))
    judged = {same(part)[:5] for part in best if part.block.setting["judge"]}
    kept = [part for part in best if part.block.setting["judge"] or same(part)[:5] not in judged]
    return sorted(kept, key=lambda part: (part.block.experiment, len(block_obstacles(part.block))))


def beside(part: Computed, headers: Rows) -> list[Beside]:
    """Every published number of a block's experiment with what the block has in its place.

    Args:
        part: The block.
        headers: Provenance of every log.
    """
    always, found = block_obstacles(part.block), []
    for one in published.numbers():
        if one.experiment == part.block.experiment:
            obstacles, caveats = _of_logs(headers, part.block, one)
            more = (one.caveat,) if one.caveat else ()
            found.append(Beside(one, published.measured(one, part), (*always, *obstacles), (*caveats, *more)))
    return found


# --- as tables ----------------------------------------------------------------------------------------------------


def _value(unit: str, value: float | None) -> str:
    """A value in its unit; nothing where there is none."""
    if value is None:
        return ""
    return p_value(value) if unit == P else number(value) if unit == SCORE else percent(value)


def _said(one: Published) -> str:
    """What the source reports, marked where it cannot be checked here."""
    return one.printed + (" †" if one.source == "tables" else "") if one.printed else "drawn, not printed"


def _cell(one: Published) -> str:
    if not one.which:
        return f"{one.arm} ({one.labels[0]})"
    return f"{one.arm} ({one.which} of its {len(one.labels)} trained labels)"


def _line(row: Beside) -> tuple[str, ...]:
    one, run, unit = row.published, row.run, row.published.measure.unit
    begins = (_cell(one), one.measure.title, _said(one), one.place)
    if run is None:
        return (*begins, *("",) * 6)
    value = _value(unit, run.value) + (f" ({run.label})" if one.which else "")
    ends = "" if run.low is None or run.high is None else f"{_value(unit, run.low)} to {_value(unit, run.high)}"
    apart = "" if row.difference is None else ("+" if row.difference > 0 else "") + _value(unit, row.difference)
    return (*begins, value, ends, str(run.seeds or "–"), str(run.rows), apart, row.sentence)


def _table(caption: str, rows: Sequence[Beside]) -> Table:
    return Table(caption, HEADER, tuple(map(_line, rows)), wide=True)


def _title(experiment: str) -> str:
    return f"{experiment.capitalize()}: beside the published numbers"


def _counts(rows: Sequence[Beside]) -> str:
    """How much of the source a run covers."""
    there = [row for row in rows if row.run is not None]
    compare = sum(row.difference is not None for row in there)
    return f"{len(there)} of {len(rows)} places are filled, {compare} of them with a difference."


def _caption(part: Computed) -> str:
    setting, seeds = part.block.setting, {seed for row in part.arms for seed in row["seeds"]}
    judge = f", judge {setting['judge']}" if setting["judge"] else ""
    facts = f"base {setting['base']}, {setting['scorer']}{judge}, split {setting['split']}, {setting['choice']}"
    facts += f", wording {setting['wording']}" + (f", condition {setting['condition']}" if setting["condition"] else "")
    return f"This run: {facts}; {seed_count(len(seeds))}. Difference: this run minus the source."


def sections(done: Sequence[Computed], headers: Rows) -> tuple[list[Section], list[dict[str, Any]]]:
    """A section for each experiment of a run, and the same as rows of ``results.json``.

    Args:
        done: The blocks of the report.
        headers: Provenance of every log.
    """
    found, rows = list[Section](), list[dict[str, Any]]()
    for experiment, parts in groupby(chosen(done), key=lambda part: part.block.experiment):
        tables, counts = [], []
        for part in parts:
            each = beside(part, headers)
            tables.append(_table(_caption(part), each))
            counts.append(f"Base {part.block.setting['base']}, {part.block.setting['scorer']}: {_counts(each)}")
            rows += [_facts(part.block, row) for row in each]
        found.append(Section(_title(experiment), tuple(counts), NOTES[experiment], tuple(tables)))
    return found, rows


def _facts(block: Block, row: Beside) -> dict[str, Any]:
    return {
        **results.identity(block), **asdict(row.published), "value": row.published.value,
        "run": None if row.run is None else asdict(row.run), "difference": row.difference, "sentence": row.sentence,
        **results.measure(block),
    }  # fmt: skip


def empty() -> list[Section]:
    """The tables without a run: every published number beside an empty column."""
    found = []
    for experiment, lines in groupby(published.numbers(), key=lambda one: one.experiment):
        command = f"mst report {STUDIES[experiment]} --against published --out DIR"
        caption = f"The last six columns are filled by: {command} (from logs that lie elsewhere: LOGS in its place)"
        found.append(Section(_title(experiment), (), NOTES[experiment], (_table(caption, [*map(Beside, lines)]),)))
    return found
