"""Which comparisons there are: the confirmatory family, which Holm covers, and what is shown beside it.

A study file declares its family before the run; then that list is the family, exactly, and a comparison whose cells are
missing stays in it and is listed as missing. Without a study file the family of a block is mst against baseline and
against shuffled. Everything else is exploratory: every other arm against its declared reference and against mst, and
the held-out label, its paraphrases and the implausible label against the controls.

Cells are looked up by condition, wording, arm and label, so a comparison may span blocks. Under a study every row says
over which seeds it was planned and which of these are missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from mst_evals import labels, variants
from mst_evals.reporting import comparisons, progress, results
from mst_evals.reporting.comparisons import Cell
from mst_evals.reporting.results import Block, Metric
from mst_evals.statistics import stats
from mst_evals.studies import asked
from mst_evals.studies.study import Study

Row = dict[str, Any]
Address = tuple[str, str, str, str]  # arm, label, condition, wording
Key = tuple[str, frozenset[Address]]


@dataclass(frozen=True)
class Planned:
    """Two cells of one block that are compared without a study file saying so.

    Attributes:
        a: (arm, label).
        b: (arm, label).
        about: ``main``, ``controls`` (the label against none and nonsense), ``label`` (a paraphrase or the implausible
            label) or ``arm`` (another arm against its reference or mst).
        confirmatory: Whether it belongs to the family.
    """

    a: tuple[str, str]
    b: tuple[str, str]
    about: str
    confirmatory: bool = False


# --- what is compared by default ----------------------------------------------------------------------------------


def main_plan(experiment: str) -> list[Planned]:
    """The comparisons of the main arms, in the order they are shown."""
    none, held_out = labels.NONE, variants.AXES[experiment].held_out
    mst = ("mst", held_out)
    return [
        Planned(mst, ("baseline", none), "main", True),
        Planned(mst, ("shuffled", held_out), "main", True),
        Planned(mst, ("baseline", held_out), "main"),
        Planned(mst, ("mst", none), "controls"),
        Planned(mst, ("mst", labels.NONSENSE), "controls"),
        Planned(mst, ("ootb", none), "main"),
        Planned(mst, ("ootb", held_out), "main"),
    ]


def _label_plan(block: Block) -> Iterator[Planned]:
    """Other words for the held-out label, and the implausible one, of mst: against that label and the controls."""
    lines = block.rows[(block.rows["arm"] == "mst") & block.rows["kind"].isin(("paraphrase", "implausible"))]
    for label in dict.fromkeys(lines["label"]):
        for other in (block.held_out, *labels.CONTROLS):
            yield Planned(("mst", label), ("mst", other), "label")


def _arm_plan(block: Block) -> Iterator[Planned]:
    """Every other arm against its reference and against mst; what was trained with labels against its own controls."""
    for name in block.arms:
        arm = variants.ARMS[block.experiment].get(name)
        if arm is None or arm.name == "mst":
            continue
        mine = (name, arm.deployed_with[0])
        if name not in variants.MAIN:
            for other in dict.fromkeys((arm.reference, "mst")):
                if other is not None:
                    yield Planned(mine, (other, results.headline_labels(block.experiment, other)[0]), "arm")
        if arm.has_labels:
            for control in labels.CONTROLS:
                yield Planned((name, arm.axis.held_out), (name, control), "controls")


def planned(block: Block) -> list[Planned]:
    """The comparisons of a block that both cells are there for."""
    there = {(str(arm), str(label)) for arm, label in zip(block.rows["arm"], block.rows["label"], strict=True)}
    plan = [*main_plan(block.experiment), *_label_plan(block), *_arm_plan(block)]
    return [one for one in plan if one.a in there and one.b in there]


def _equivalence_plan(block: Block) -> list[Planned]:
    """Mst against the base model, and every other arm against mst, at their headline labels."""
    experiment = block.experiment
    mst = ("mst", block.held_out)
    others = [name for name in variants.ARMS[experiment] if name not in variants.MAIN]
    plan = [Planned(mst, ("ootb", labels.NONE), "main")]
    plan += [Planned((name, results.headline_labels(experiment, name)[0]), mst, "arm") for name in others]
    there = {(str(arm), str(label)) for arm, label in zip(block.rows["arm"], block.rows["label"], strict=True)}
    return [one for one in plan if one.a in there and one.b in there]


# --- looking cells up ---------------------------------------------------------------------------------------------


def _cells(blocks: Sequence[Block], study: Study, metric: str, address: Address) -> list[Cell]:
    """The cells at an address; more than one where it leaves something open (the base, the data, the judge)."""
    arm, label, condition, wording = address
    wanted = {**progress.setting(study), "condition": condition, "wording": wording}
    found = [block for block in blocks if wanted.items() <= block.setting.items() and block.metric(metric)]
    return [Cell(block, arm, label) for block in found if not block.cell(arm, label).empty]


def _pair(
    blocks: Sequence[Block], study: Study, metric: str, a: Address, b: Address
) -> tuple[tuple[Cell, Cell] | None, str]:
    """Both cells of a declared comparison, or why there are none."""
    sides = [_cells(blocks, study, metric, address) for address in (a, b)]
    for address, found in zip((a, b), sides, strict=True):
        if not found:
            return None, f"{_words(address)} was not evaluated"
    pairs = [(x, y) for x, y in product(*sides) if results.measure(x.block) == results.measure(y.block)]
    if len(pairs) != 1:
        what = "no two cells on the same data by the same measure" if not pairs else f"{len(pairs)} pairs of cells"
        return None, f"{what} answer to {_words(a)} against {_words(b)}"
    return pairs[0], ""


def _words(address: Address) -> str:
    arm, label, condition, wording = address
    place = ", ".join(part for part in (f"condition {condition}" if condition else "", f"wording {wording}") if part)
    return f"{arm} with {label} ({place})"


def _declared(study: Study, one: Any) -> tuple[str, Address, Address]:
    """Metric and both sides of what a study file declares, with everything it leaves open filled in."""
    return one.metric, asked.side(study, one.a), asked.side(study, one.b)


# --- rows of results.json -----------------------------------------------------------------------------------------


def _names(a: Address, b: Address) -> Row:
    return {
        "arm_a": a[0], "label_a": a[1], "arm_b": b[0], "label_b": b[1],
        "condition_a": a[2], "condition_b": b[2], "wording_a": a[3], "wording_b": b[3],
    }  # fmt: skip


def _address(cell: Cell) -> Address:
    return cell.arm, cell.label, cell.block.setting["condition"], cell.block.setting["wording"]


def _present(study: Study | None, a: Cell, b: Cell, metric: Metric, facts: Row, **about: Any) -> Row:
    """The row of a comparison whose cells are there; it stands in the block of its side a."""
    bases = {"base_a": a.block.setting["base"], "base_b": b.block.setting["base"]}
    one, two = _address(a), _address(b)
    scored = comparisons.scored_seeds(a, b, metric)
    return {
        **results.identity(a.block), "metric": metric.name, **_names(one, two), **bases, **facts,
        **progress.seed_facts(study, (one[0], one[2]), (two[0], two[2]), scored), **about,
        "missing": None, "p_holm": None, **results.measure(a.block),
    }  # fmt: skip


_NOTHING = (
    "diff", "ci_low", "ci_high", "interval", "p", "method", "win", "tie", "loss", "better", "detectable",
    "over_rows", "over_seeds", "p_holm",
)  # fmt: skip


def _missing(study: Study, metric: str, a: Address, b: Address, why: str, **about: Any) -> Row:
    """The row of a declared comparison that has no numbers."""
    scorer = metric.split(".")[0] if study.experiment == "bias" else study.experiment
    return {
        **progress.setting(study), "wording": a[3], "base": "", "condition": a[2], "metric": metric, **_names(a, b),
        "base_a": "", "base_b": "", "n": 0, "n_clusters": 0, "n_unpaired": 0, **dict.fromkeys(_NOTHING), "seeds": [],
        **progress.seed_facts(study, (a[0], a[2]), (b[0], b[2]), ()), "fixed": False, "by_seed": [], **about,
        "missing": why, "data_sha256": "", "scorer": scorer, "judge": "",
    }  # fmt: skip


def _same(metric: str, a: Address, b: Address) -> Key:
    """What makes two comparisons one, whichever side stands first."""
    return metric, frozenset((a, b))


def _key(row: Row) -> Key:
    """`_same` of a row."""
    a, b = (tuple(row[f"{part}_{side}"] for part in ("arm", "label", "condition", "wording")) for side in "ab")
    return row["metric"], frozenset((a, b))


def _holm(rows: Sequence[Row]) -> None:
    """Adjust the p values of the confirmatory ones, in place; one without a p counts in the family's size."""
    family = [row for row in rows if row["confirmatory"]]
    for row, p in zip(family, stats.holm([row["p"] for row in family]), strict=True):
        row["p_holm"] = p
        row["family_size"] = len(family)


def _metric(cell: Cell, name: str) -> Metric:
    found = cell.block.metric(name)
    assert found is not None
    return found


def _declared_rows(blocks: Sequence[Block], study: Study) -> list[Row]:
    """The family of a study, in its order; every one of it, whether or not its cells are there."""
    found = []
    for one in study.comparisons:
        metric, a, b = _declared(study, one)
        pair, why = _pair(blocks, study, metric, a, b)
        about: Row = {"about": "declared", "confirmatory": True, "declared": True}
        if pair is None:
            found.append(_missing(study, metric, a, b, why, **about))
        else:
            of = _metric(pair[0], metric)
            found.append(_present(study, *pair, of, comparisons.compare(*pair, of), **about))
    _holm(found)
    return found


def comparison_rows(blocks: Sequence[Block], study: Study | None = None) -> list[Row]:
    """Every comparison, the declared ones first; p of the confirmatory ones adjusted by Holm.

    Args:
        blocks: All blocks of a report.
        study: The study whose comparisons are the family; None: each block has a family of its own.
    """
    found = _declared_rows(blocks, study) if study else []
    known = {_key(row) for row in found}
    for block in blocks:
        rows = _default_rows(block, study, known)
        if study is None:
            _holm(rows)
        found += rows
    return found


def _default_rows(block: Block, study: Study | None, known: set[Key]) -> list[Row]:
    """The planned comparisons of a block that no study file declares."""
    rows, mine = [], progress.of_setting(study, block.setting)
    plan = planned(block)
    for metric in block.primary:
        for one in plan:
            a, b = Cell(block, *one.a), Cell(block, *one.b)
            if _same(metric.name, _address(a), _address(b)) in known:
                continue
            about = {"about": one.about, "confirmatory": one.confirmatory and study is None, "declared": False}
            rows.append(_present(mine, a, b, metric, comparisons.compare(a, b, metric), **about))
    return rows


def _declared_equivalence(blocks: Sequence[Block], study: Study) -> list[Row]:
    """The equivalence tests of a study, in its order."""
    found = []
    for one in study.equivalence:
        metric, a, b = _declared(study, one)
        default = comparisons.MARGIN if metric in ("lexical_bias", "bias_rubric") else comparisons.RATE_MARGIN
        margin = default if one.margin is None else one.margin
        pair, why = _pair(blocks, study, metric, a, b)
        about: Row = {"about": "declared", "declared": True}
        if pair is None:
            nothing = {"margin": margin, "equivalent": None, "ci90_low": None, "ci90_high": None}
            found.append(_missing(study, metric, a, b, why, **about, **nothing))
        else:
            of = _metric(pair[0], metric)
            found.append(_present(study, *pair, of, comparisons.equivalence(*pair, of, margin), **about))
    return found


def equivalence_rows(blocks: Sequence[Block], study: Study | None = None) -> list[Row]:
    """Every equivalence test (TOST), the declared ones first.

    By default mst with the held-out label against the base model without a label, and every other arm against mst; the
    margin is 0.5 on the 0-10 scale and 0.05 for rates.

    Args:
        blocks: All blocks of a report.
        study: The study whose equivalence tests are declared; None: none is.
    """
    found = _declared_equivalence(blocks, study) if study else []
    known = {_key(row) for row in found}
    for block in blocks:
        for metric, plan in product(block.primary, _equivalence_plan(block)):
            a, b = Cell(block, *plan.a), Cell(block, *plan.b)
            if _same(metric.name, _address(a), _address(b)) not in known:
                facts = comparisons.equivalence(a, b, metric, comparisons.margin_of(metric))
                mine = progress.of_setting(study, block.setting)
                found.append(_present(mine, a, b, metric, facts, about=plan.about, declared=False))
    return found
