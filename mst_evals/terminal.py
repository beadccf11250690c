"""What commands say on the terminal, and what they ask there."""

from rich.console import Console
from rich.prompt import Confirm

from mst_evals.errors import InputError


def say(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def confirmed(console: Console) -> bool:
    """Whether what was said to cost something is to be spent.

    Raises:
        InputError: There is nobody to ask.
    """
    try:
        return Confirm.ask("Spend it?", console=console, default=False)
    except EOFError:
        raise InputError("there is nobody to ask whether to spend: add --yes") from None
