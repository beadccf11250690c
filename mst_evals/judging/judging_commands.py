"""What `mst judge-card` and `mst audit` do; `mst_evals.cli` holds their options."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from inspect_ai.model import Model
from rich.console import Console

from mst_evals import data, manifest
from mst_evals.errors import InputError
from mst_evals.judging import audit as auditing
from mst_evals.judging import (
    blind,
    canaries,
    card,
    figure,
    grading,
    logs,
    measures,
    paying,
    rescoring,
    sentences,
    validation,
    writing,
)
from mst_evals.judging.grading import Text
from mst_evals.terminal import say

RUNS = Path("runs") / "judge-card"
ATTACKED = 8


def judge_card(
    grader: str | Model,
    console: Console,
    data_file: Path | None = None,
    out: Path | None = None,
    repeat: int = 2,
    second_grader: str | Model | None = None,
    generator: str | None = None,
    attacked: int = ATTACKED,
    yes: bool = False,
    prices: Sequence[str] = (),
    display: str | None = None,
    draws: int = measures.DRAWS,
) -> int:
    """Make a judge's card and print it, and what it costs, before and after.

    A run that was stopped goes on where it ended.

    Args:
        grader: ``lexical``, or any Inspect model.
        console: Where the summary goes.
        data_file: Articles of known slant (JSON lines) or people's ratings (CSV); the project's own by default.
        out: A folder for card.json, card.md, card.svg and the logs, by default one in `RUNS`; or the name of a Markdown
            file, beside which JSON and figure get the same name, while the logs stay in that folder of `RUNS`.
        repeat: How often every article is graded.
        second_grader: Another judge, for agreement and self-preference.
        generator: The model that wrote the articles whose file does not say who did, see `validation.written_by`.
        attacked: Number of strongly slanted articles that every attack is tried on; 0 for none.
        yes: Spend without asking.
        prices: See `paying.estimates`.
        display: Inspect's display; None: its default. The proxy has none.
        draws: Resamples of each bootstrap.

    Returns:
        Exit code: 0, or 1 when nothing was graded at all or nothing was to be spent.

    Raises:
        InputError: An option or the data cannot be used, or a judge cannot be had.
        StepError: The grading ended with an error that is no judge's.
    """
    if repeat < 1 or attacked < 0:
        raise InputError(f"--repeat {repeat}, --attacked {attacked}: expected at least 1 and 0")
    if second_grader is not None and str(second_grader) == str(grader):
        raise InputError(f"--second-grader {second_grader}: found the grader itself, expected another one")
    path = data_file or data.JUDGE_VALIDATION
    known = validation.load(path)
    if generator is not None:
        known = validation.written_by(known, generator)
    folder = RUNS / _slug(str(grader))
    files = _files(out or folder)
    work = (folder if out is not None and out.suffix == ".md" else files[0].parent) / "runs"
    texts = [Text(article.id, article.topic, article.text) for article in known.articles]
    targets = validation.strong(known.articles, attacked)
    # All is planned first: both judges are known to be there, and what they cost, before either is paid.
    jobs = {"own": grading.plan(texts, grader, repeat, work)}
    if second_grader is not None:
        jobs["second"] = grading.plan(texts, second_grader, 1, work)
    if targets:
        jobs["attacked"] = grading.plan(canaries.attacked(targets), grader, 1, work)
    done = paying.grade(console, list(jobs.values()), prices, yes, display)
    if done is None:
        return 1
    graded = dict(zip(jobs, done, strict=True))
    grades, second, under_attack = graded["own"], graded.get("second"), graded.get("attacked")
    found = card.make(known, grades, targets, under_attack, second, sentences.not_attacked(attacked), draws)
    command = _command(grader, data_file, out, repeat, second_grader, generator, attacked)
    _write(found, command, figure.draw(found, card.articles_table(known, grades, second)), files)
    _print(found, files, console)
    _say_no_reply(console, sum(one.no_reply for one in done))
    return 1 if found.unscored.count == found.unscored.calls else 0


def export_blind(paths: Sequence[Path], out: Path, n: int, seed: int, console: Console) -> int:
    """Sample generated articles for people to rate: a CSV that gives nothing away, and a key file apart.

    Returns:
        Exit code 0.

    Raises:
        InputError: A log cannot be read, there are fewer articles, or the file is there already.
    """
    made = blind.export(paths, out, n, seed)
    for note in made.notes:
        say(console, note)
    say(console, f"{out}: {made.written} of {made.found} articles, to be rated in the columns bias (0-10) and verdict.")
    say(console, f"{made.key}: which article is which; keep it from the raters.")
    if made.telling:
        say(console, f"{made.telling} of them hold the text of a label or prompt, which a rater will see.")
    say(console, f"Then: mst judge-card --grader MODEL --data {shlex.quote(str(out))}")
    return 0


def audit(
    paths: Sequence[Path],
    console: Console,
    rescore: str | Model | None = None,
    out: Path | None = None,
    rows: int | None = None,
    yes: bool = False,
    prices: Sequence[str] = (),
    display: str | None = None,
) -> int:
    """Say what the judges of some logs were given; with `rescore`, what the label's text would do to their grades.

    What grading again costs is said before and after.

    Args:
        paths: Logs, or folders of logs.
        console: Where the lines go.
        rescore: A grader (``lexical`` or any Inspect model) that grades with and without the label's text in front.
        out: Folder for what is graded; by default one in ``runs/audit``.
        rows: Samples to grade, spread evenly over those that have a label; all by default.
        yes: Spend without asking.
        prices: See `paying.estimates`.
        display: Inspect's display.

    Returns:
        Exit code: 0 when no judge was given a label or a prompt, 1 when one was.

    Raises:
        InputError: A log cannot be read, or does not say what its judge was given. All else is printed before.
    """
    searched = logs.log_files(paths)
    found = auditing.audit(searched.files)
    for line in (*searched.notes, *found.lines()):
        say(console, line)
    if rescore is not None:
        _rescore(
            console, found, rescore, out or Path("runs") / "audit" / _slug(str(rescore)), rows, yes, prices, display
        )
    if found.unreadable:
        raise InputError("; ".join(found.unreadable))
    return 1 if found.leaks else 0


def _rescore(
    console: Console,
    found: auditing.Audit,
    grader: str | Model,
    place: Path,
    rows: int | None,
    yes: bool,
    prices: Sequence[str],
    display: str | None,
) -> None:
    """Grade the articles of some logs with and without the text of their label, and say what it does."""
    chosen = rescoring.choose(found.completions, rows)
    for note in chosen.notes():
        say(console, note)
    if found.textless:
        say(
            console,
            f"{found.textless} completions are not graded again: they had no label, or their log gives its text "
            "nowhere but in the prompt.",
        )
    if not chosen.samples:
        say(
            console,
            "nothing to grade again: no log has a completion that can be told from the label it was asked under",
        )
        return
    done = paying.grade(console, [grading.plan(chosen.texts(), grader, 1, place)], prices, yes, display)
    if done is None:
        return
    shifts = rescoring.shifts(chosen.samples, done[0])
    console.print(writing.terminal(rescoring.table(shifts, str(grader))))
    say(console, rescoring.sentence(shifts, str(grader)))
    _say_no_reply(console, shifts[0].no_reply)


def _say_no_reply(console: Console, calls: int) -> None:
    if calls:
        say(console, f"{calls:,} calls got no reply of a judge; the same command asks again.")


def _write(found: card.Card, command: str, drawing: str, files: tuple[Path, Path, Path]) -> None:
    text, svg, numbers = files
    manifest.write_text(numbers, writing.as_json(found, command))
    manifest.write_text(svg, drawing)
    manifest.write_text(text, writing.as_markdown(found, command, svg.name))


def _print(found: card.Card, files: tuple[Path, Path, Path], console: Console) -> None:
    for table in (writing.versions_table(found), writing.measures_table(found)):
        console.print(writing.terminal(table))
    for sentence in sentences.findings(found):
        say(console, sentence)
    text, svg, numbers = files
    say(console, f"Card: {text}   figure: {svg}   numbers: {numbers}")


def _files(out: Path) -> tuple[Path, Path, Path]:
    """Markdown, figure and JSON of a card."""
    text = out if out.suffix == ".md" else out / "card.md"
    return text, text.with_suffix(".svg"), text.with_suffix(".json")


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def _command(
    grader: str | Model,
    data_file: Path | None,
    out: Path | None,
    repeat: int,
    second: str | Model | None,
    generator: str | None,
    attacked: int,
) -> str:
    """The command line that makes a card, options at their defaults left out."""
    words = ["mst", "judge-card", "--grader", str(grader)]
    options = {
        "--data": data_file, "--second-grader": second, "--generator": generator, "--out": out,
        "--repeat": repeat if repeat != 2 else None, "--attacked": attacked if attacked != ATTACKED else None,
    }  # fmt: skip
    for name, given in options.items():
        words += [name, str(given)] if given is not None else []
    return shlex.join(words)
