"""How every `python -m training...` command begins and ends: bad input is one line on stderr and exit code 2."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from mst_evals.errors import InputError


def parse(types: tuple[Any, ...], argv: Sequence[str] | None) -> tuple[Any, ...]:
    """Read dataclasses from ``--config FILE.yaml`` and flags; a flag overrides the file.

    Raises:
        InputError: The file cannot be read, or holds a key or value that no argument has.
    """
    from trl import TrlParser

    try:
        return TrlParser(types).parse_args_and_config(argv, fail_with_unknown_args=True)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise InputError(" ".join(str(error).split())) from None


def run(command: Callable[[], None]) -> int:
    """Call a command.

    Returns:
        0 when it finished, 2 when its input cannot be used, 130 when it was interrupted. Anything else that is raised
        keeps its traceback.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill cleans up as Ctrl-C does
    try:
        command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing half-written was left under its final name", file=sys.stderr)
        return 130
    return 0
