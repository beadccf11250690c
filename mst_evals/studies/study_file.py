"""Read a study file. Every fault is one line with the file, the field, what was found and what was expected.

Unknown keys fail, and name the nearest known one.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mst_evals.errors import InputError
from mst_evals.studies.study import (
    TAGS,
    ArmPlan,
    BaseRecipe,
    Comparison,
    Condition,
    Durations,
    Equivalence,
    Evaluations,
    Side,
    Study,
    Wordings,
)


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key may not stand twice: the second would replace the first in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raise on a repeated key."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                mark = node.value[index][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands here a second time", mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping.

    Raises:
        InputError: It cannot be read, is no YAML, repeats a key, or holds something else.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        raise InputError(f"{where}: not YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: found {type(found).__name__}, expected a mapping of keys")
    return found


def load(path: Path) -> Study:
    """Read a study file and check its form; `checks.check` checks what it says.

    Raises:
        InputError: It cannot be used; the message names the field, what was found and what was expected.
    """
    content = read_yaml(path)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_one_line(error)}") from None


def nearest(name: str, known: list[str]) -> str:
    """``; did you mean X?`` for the nearest known name, empty when none is near."""
    near = difflib.get_close_matches(str(name), known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _one_line(error: ValidationError) -> str:
    """The first fault of a validation. Unknown keys come first, since a missing key is often a misspelt one."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    place = [part for part in fault["loc"] if part not in TAGS.values()]
    field = ".".join(str(part) for part in place)
    if fault["type"] == "extra_forbidden":
        known = _known_keys(place[:-1])
        return f"{field}: unknown key{nearest(str(place[-1]), known)} (known: {', '.join(known)})"
    if fault["type"] == "missing":
        return f"{field}: missing"
    found = repr(fault["input"])
    return f"{field}: found {found if len(found) <= 80 else found[:77] + '...'}, expected {_expected(fault)}"


def _known_keys(place: list[str | int]) -> list[str]:
    """Keys of the mapping at a place of the study file."""
    here: Any = Study
    parts = {"arms": ArmPlan, "conditions": Condition, "comparisons": Comparison, "equivalence": Equivalence}
    nested = {"base": BaseRecipe, "evaluations": Evaluations, "wordings": Wordings, "durations": Durations}
    nested |= {"a": Side, "b": Side}
    skip = False
    for step in place:
        if skip or isinstance(step, int):  # the name of an arm, or a place in a list
            skip = False
        elif step in parts and here is Study:
            here, skip = parts[str(step)], step == "arms"
        else:
            here = nested[str(step)]
    return list(here.model_fields)


_EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "string_type": "text",
    "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping", "bool_type": "true or false",
    "model_attributes_type": "a mapping",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-', beginning with a letter or digit",
}  # fmt: skip


def _expected(fault: Mapping[str, Any]) -> str:
    """What was expected, in words."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "literal_error":
        return f"one of {context['expected']}".replace("'", "")
    if kind in ("greater_than_equal", "greater_than"):
        limit = context.get("ge", context.get("gt"))
        return f"at least {limit}" if "ge" in context else f"more than {limit}"
    if kind == "union_tag_invalid":
        forms = [name for name, tag in TAGS.items() if f"'{tag}'" in context["expected_tags"]]
        return " or ".join("a list" if name == "list" else name for name in forms)
    if kind == "too_short":
        return f"at least {context['min_length']} entry"
    return str(fault["msg"]).removeprefix("Input should be ").lower()
