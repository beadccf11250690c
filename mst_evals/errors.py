"""Errors a command line prints without a traceback. Anything else that is raised is a fault of ours and keeps it."""


class InputError(ValueError):
    """A user's input cannot be used.

    One line that names what was found and what was expected. Command lines print it and exit with 2; Inspect tasks
    turn it into a `PrerequisiteError`.
    """


class StepError(RuntimeError):
    """A process of a longer job failed; the message ends with what it printed. Command lines exit with 1."""
