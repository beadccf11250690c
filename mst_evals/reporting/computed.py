"""Everything that is computed of each block of a report, before any of it is laid out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mst_evals.reporting import claims, comparisons, family, responses, results
from mst_evals.reporting.results import Block

if TYPE_CHECKING:
    from mst_evals.studies.study import Study

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Computed:
    """A block with everything computed from it.

    Attributes:
        block: The block.
        arms: `results.arm_rows`.
        comparisons: The rows of `family.comparison_rows` whose side a stands in this block.
        equivalences: The rows of `family.equivalence_rows` whose side a stands in this block.
        steps: `comparisons.step_rows`, none for bias.
        responses: `responses.response_rows`.
        findings: What it shows in sentences.
        others: The same of every other label and arm, one sentence each.
    """

    block: Block
    arms: Rows
    comparisons: Rows
    equivalences: Rows
    steps: Rows
    responses: Rows
    findings: list[str]
    others: list[str]


def of_block(rows: Rows, block: Block) -> Rows:
    """The comparisons whose side a stands in a block. A missing one stands in none."""
    keys = (*results.IDENTITY, "data_sha256", "scorer", "judge")
    return [row for row in rows if row["missing"] is None and all(row[key] == block.setting[key] for key in keys)]


def compute(blocks: Sequence[Block], study: "Study | None" = None) -> tuple[list[Computed], Rows, Rows]:
    """Compute every block.

    Args:
        blocks: All blocks of a report.
        study: The study, for its declared comparisons; None: each block has a family of its own.

    Returns:
        The blocks, then all comparisons and all equivalence tests, those that are missing included.
    """
    pairs, same = family.comparison_rows(blocks, study), family.equivalence_rows(blocks, study)
    found = []
    for block in blocks:
        arms, mine, equal = results.arm_rows(block), of_block(pairs, block), of_block(same, block)
        steps = comparisons.step_rows(block) if block.experiment == "sycophancy" else []
        answers = responses.response_rows(block)
        said, others = claims.findings(block, arms, mine, equal, steps, answers)
        found.append(Computed(block, arms, mine, equal, steps, answers, said, others))
    return found, pairs, same
