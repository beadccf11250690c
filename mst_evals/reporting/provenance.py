"""The provenance tables of a report: which weights were asked what, log by log."""

from collections.abc import Sequence
from typing import Any

from mst_evals.reporting.refusals import asked
from mst_evals.reporting.tables import Row, Table


def _start(digest: Any) -> str:
    return str(digest)[:10] if digest else "–"


def _show(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)


def provenance_tables(provenance: Sequence[Row]) -> list[Table]:
    """Which weights were asked what, log by log; the number in the first column joins the two tables."""
    models, logs = [], []
    for index, row in enumerate(provenance, start=1):
        trained, used = _show(row.get("quantisation")), _show(asked(row).get("quantisation"))
        models.append(
            (
                str(index), _show(row.get("arm")), _show(row.get("seed")), _show(row.get("method")),
                _show(row.get("base")), _start(row.get("base_sha256")), _start(row.get("adapter_sha256")),
                trained if used in (trained, "–") else f"{trained}, evaluated {used}",
                _show(row.get("trained_wording")), _start(row.get("train_data_sha256")), _show(row.get("model")),
            )
        )  # fmt: skip
        packages = ", ".join(f"{name} {version}" for name, version in (row.get("packages") or {}).items())
        used = "yes" if row["used"] else "no"
        logs.append(
            (
                str(index), f"{_show(row.get('task'))} v{_show(row.get('task_version'))}", _show(row.get("split")),
                f"{_show(row.get('data'))} {_start(row.get('data_sha256'))}", _show(row.get("wording")),
                _show(row.get("choice")), _show(row.get("scorer")), _show(row.get("judge")),
                _show(row.get("temperature")), packages, _show(row.get("status")),
                f"{row['n_scored']} of {row['n']}", used, row["log"],
            )
        )  # fmt: skip
    first = ("#", "arm", "seed", "method", "base", "base sha256", "adapter sha256", "quantisation", "trained wording")
    second = ("#", "task", "split", "data, sha256", "wording", "choice", "scorer", "judge", "temp.", "packages")
    return [
        Table(
            "What was asked.", (*first, "training data sha256", "model as named to Inspect"), tuple(models), wide=True
        ),
        Table(
            "How it was asked, and by which log.", (*second, "status", "scored", "used", "log"), tuple(logs), wide=True
        ),
    ]
