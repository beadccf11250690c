"""What judges cost: said and asked before they are paid, and said after. One wording for every command."""

from collections.abc import Iterable, Sequence

from inspect_ai.event import Event
from inspect_ai.model import Model
from rich.console import Console

from mst_evals import judge
from mst_evals.corpus import spending
from mst_evals.corpus.article_rounds import IN_PROCESS
from mst_evals.judging import asking, grading
from mst_evals.judging.asking import Estimate
from mst_evals.judging.grading import Graded, Job
from mst_evals.terminal import confirmed, say

FREE = (*IN_PROCESS, "mockllm")  # providers of judges that nobody is paid for


def show(console: Console, asked: Sequence[Estimate]) -> None:
    """Say what each judge will take, likely and at most, and all of them together."""
    for one in asked:
        how = ", batches, half the price" if one.batch else ""
        likely, most = (spending.cost(usage, one.price, one.batch) for usage in (one.likely, one.most))
        say(
            console,
            f"{one.judge}{how}: about {spending.sentence(one.likely, likely)}, without thinking and without asking "
            f"again; at most, every article asked about {judge.ASKS} times and every reply as long as it may be, "
            f"about {spending.sentence(one.most, most)}",
        )
    if any(one.price is None for one in asked):
        say(console, "The price of a judge is not known here: give it as --price INPUT,OUTPUT.")
    if len(asked) > 1:
        total = spending.total(spending.cost(one.likely, one.price, one.batch) for one in asked)
        say(console, f"All judges, about: {spending.dollars(total)}")


def show_spent(console: Console, events: Iterable[Event], asked: Sequence[Estimate]) -> None:
    """Say what was billed."""
    usage, cost = asking.spent(events, asked)
    say(console, f"Spent: {spending.sentence(usage, cost)}")


def agreed(console: Console, yes: bool) -> bool:
    """Whether what was shown is to be spent.

    Raises:
        InputError: There is nobody to ask.
    """
    if yes or confirmed(console):
        return True
    say(console, "Nothing was sent.")
    return False


def estimates(jobs: Sequence[Job], prices: Sequence[str]) -> list[Estimate]:
    """What each judge that may be paid for will take; none for one that is asked nothing.

    Args:
        jobs: Gradings that are planned.
        prices: See `asking.each`, for the judges that may be paid for, in the order of the jobs.

    Raises:
        InputError: See `asking.each`.
    """
    paid: dict[str, Model] = {str(job.judge): job.judge for job in jobs if job.judge is not None and _paid(job.judge)}
    found = []
    for name, given in zip(paid, asking.each(prices, len(paid)), strict=True):
        wanted = [one for job in jobs if str(job.judge) == name for one in job.missing]
        found += asking.estimates(wanted, [paid[name]], [] if given is None else [given]) if wanted else []
    return found


def grade(
    console: Console, jobs: Sequence[Job], prices: Sequence[str] = (), yes: bool = False, display: str | None = None
) -> list[Graded] | None:
    """Say what some gradings cost, ask, grade, and say what was billed, also where a grading ended with an error.

    Nobody is asked where no judge is paid for: for the proxy, a model in this process or a mock, or a price of 0.

    Args:
        console: Where to report.
        jobs: What is planned.
        prices: See `estimates`.
        yes: Spend without asking.
        display: Inspect's display; None: its default.

    Returns:
        One for each job; None when nothing was to be spent.

    Raises:
        InputError: A price is none, or there is nobody to ask.
        StepError: See `grading.grade`.
    """
    asked = estimates(jobs, prices)
    show(console, asked)
    if any(spending.cost(one.most, one.price) != 0 for one in asked) and not agreed(console, yes):
        return None
    try:
        return [grading.grade(job, display) for job in jobs]
    finally:
        if asked:
            paid = {one.judge for one in asked}
            show_spent(
                console, [event for job in jobs if str(job.judge) in paid for event in grading.since(job)], asked
            )


def _paid(model: Model) -> bool:
    return str(model).partition("/")[0] not in FREE
