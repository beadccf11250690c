"""What `mst judge` does: say what it will cost, ask, put the grades into their logs, say what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from inspect_ai.log import EvalLog
from inspect_ai.model import Model
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mst_evals.errors import InputError, StepError
from mst_evals.judging import asking, logs, paying, second_pass
from mst_evals.judging.asking import Estimate
from mst_evals.judging.second_pass import SCORER, Judged, Pass
from mst_evals.terminal import say

RUNS = Path("runs") / "judge"


def judge_logs(
    paths: Sequence[Path],
    console: Console,
    graders: Sequence[str],
    batch: bool = False,
    yes: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
    prices: Sequence[str] = (),
    display: str | None = None,
    work: Path = RUNS,
) -> int:
    """Grade the articles of some logs. The same command goes on where it was stopped, and asks again what failed.

    Args:
        paths: Logs of the bias tasks, or folders of them.
        console: Where to report.
        graders: The judges, see `asking.panel`.
        batch: Whether they work in batch mode.
        yes: Spend without asking.
        out: Folder for judged copies; None: grades are put into the logs themselves.
        overwrite: Whether grades of other judges may be replaced.
        prices: See `asking.estimates`.
        display: Inspect's display; None: its default.
        work: Where the judges' own logs are kept.

    Returns:
        Exit code: 0, or 1 when an article got no reply or nothing was to be spent.

    Raises:
        InputError: A log, a judge or an option cannot be used.
        StepError: The judging ended before its end; what is finished is kept.
    """
    judges = asking.panel(graders, batch)
    found = logs.log_files(paths)
    passes, notes = second_pass.plan(found.files, judges, out, overwrite)
    for note in (*found.notes, *notes):
        say(console, note)
    if not passes:
        raise InputError("found no log that can be judged, expected logs of the bias tasks")
    place = second_pass.place(work, judges)
    keys = {one.key for each in passes for one in each.wanted}
    known = asking.said(place, keys)
    # An article that got no reply is asked about again; of one log of which there are two copies, once.
    kept = {key for key, work in known.items() if not second_pass.failed(work.score)}
    missing = {one.key: one for each in passes for one in each.wanted if one.key not in kept}
    asked = asking.estimates(list(missing.values()), judges, prices)
    _show_plan(console, passes, len(missing), len(kept), asked)
    fault = ""
    if missing:
        if not paying.agreed(console, yes):
            return 1
        log = asking.ask(list(missing.values()), judges, place, display)
        fault = "" if log.status == "success" else _ending(log)
        new = dict(asking.of_log(Path(log.location)))
        paying.show_spent(console, asking.replies(new), asked)
        known = asking.said(place, keys)
    failed = _write(console, passes, known, judges)
    if fault:
        raise StepError(f"{fault}; what is judged is kept: the same command goes on")
    return 1 if failed else 0


def _ending(log: EvalLog) -> str:
    said = " ".join(log.error.message.split()) if log.error else ""
    return f"judging ended with status {log.status}{': ' if said else ''}{said:.300}"


# --- before ---------------------------------------------------------------------------------------------------------


def _show_plan(console: Console, passes: Sequence[Pass], missing: int, kept: int, asked: Sequence[Estimate]) -> None:
    articles, blank = sum(one.articles for one in passes), sum(one.blank for one in passes)
    wanted = sum(len(one.wanted) for one in passes)
    parts = [f"{articles - wanted:,} judged already"] if articles > wanted else []
    parts += [f"{kept:,} judged in an earlier run"] if kept else []
    parts += [f"{blank:,} samples without a text"] if blank else []
    said = f" ({', '.join(parts)})" if parts else ""
    say(console, f"{len(passes):,} logs, {articles:,} articles{said}: {missing:,} to be judged")
    if missing:
        paying.show(console, asked)


# --- after ----------------------------------------------------------------------------------------------------------


def _write(console: Console, passes: Sequence[Pass], known: Mapping[str, Judged], judges: Sequence[Model]) -> int:
    """Write every log that has all its grades, and show them. Returns the number of articles that got no reply."""
    table = Table(title=escape(f"Grades by {', '.join(map(str, judges))}"), title_justify="left")
    for title in ("log", "graded", "unscored", "mean bias"):
        table.add_column(title, overflow="fold", justify="left" if title in ("log", "unscored") else "right")
    failed = waiting = 0
    for one in passes:
        if not second_pass.complete(one, known):
            waiting += 1
            continue
        log = second_pass.read(one.source) if one.finished else second_pass.write(one, known, judges)
        scores = [score for sample in log.samples or [] if (score := (sample.scores or {}).get(SCORER)) is not None]
        reasons = Counter(str(score.reason) for score in scores if score.reason)
        graded = [float(score.value["bias"]) for score in scores if not score.reason and isinstance(score.value, dict)]
        failed += sum(map(second_pass.failed, scores))
        unscored = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "-"
        table.add_row(escape(str(one.out)), str(len(graded)), unscored, f"{fmean(graded):.2f}" if graded else "-")
    if table.row_count:
        console.print(table)
    if waiting:
        say(console, f"{waiting:,} logs lack grades and are as they were.")
    if failed:
        say(console, f"{failed:,} articles got no reply of a judge; the same command asks again.")
    return failed
