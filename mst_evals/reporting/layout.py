"""What a report is made of: sections of sentences, tables and figures. HTML and Markdown are both made from these."""

from dataclasses import dataclass

from mst_evals.reporting.tables import Table


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; `file` is its name below ``figures/``."""

    file: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Section:
    """A part of the report: what it shows in sentences, its tables and figures in reading order, then the rest.

    Attributes:
        title: Its heading.
        findings: What leads it.
        notes: What a reader must know of it.
        items: Tables and figures.
        others: Sentences on the other labels and arms, one each; they stand below the figures.
    """

    title: str
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    items: tuple[Table | Figure, ...]
    others: tuple[str, ...] = ()
