"""The one error for bad input: a single line that names what was found and what was expected."""


class InputError(ValueError):
    """A user's input cannot be used.

    Command lines print it and exit with 2; Inspect tasks turn it into a `PrerequisiteError`. Anything else that is
    raised is a fault of ours and keeps its traceback.
    """
