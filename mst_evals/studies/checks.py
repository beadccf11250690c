"""Whether what a study file says can be run: arms, seeds, labels, wordings, arguments, bases and comparisons.

Everything is checked before anything runs, and nothing here imports torch: the names of training arguments are read
from the source of the dataclasses that hold them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mst_evals import manifest, prompts, variants
from mst_evals.errors import InputError
from mst_evals.studies import asked, closure
from mst_evals.studies.study import Base, BaseRecipe, Comparison, Study
from mst_evals.studies.study_file import load, nearest, read_yaml

TRAINERS = {"bias": "training.sft", "sycophancy": "training.ppo"}
_ARGUMENTS = {"bias": "SFTArguments", "sycophancy": "PPOArguments"}
_SET_BY_STUDY = ("arm", "seed", "output_dir", "condition", "config")
_VERDICTS = ("", ".pass", ".partial", ".fail")
_CHOICES = ("fpr", "fp_share", "fnr", "accuracy", "balanced_accuracy", "tp", "fn", "fp", "tn")


@contextmanager
def _field(where: str) -> Iterator[None]:
    """Name the file and field that an error of a definition comes from."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def read(path: Path) -> Study:
    """Read a study file and check all of it.

    Raises:
        InputError: It cannot be run; one line with the file, the field, what was found and what was expected.
    """
    found = load(path)
    check(found, path)
    return found


def check(study: Study, path: Path) -> None:
    """Check what a study file says; `path` is named in errors, and paths in the file are relative to it.

    Raises:
        InputError: It cannot be run.
    """
    _check_arms(study, path)
    _check_arguments(study, path)
    _check_base(study.base, f"{path}: base", path)
    for index, condition in enumerate(study.conditions):
        _check_base(condition.base, f"{path}: conditions.{index}.base", path)
    _check_evaluations(study, path)
    for kind, family in (("comparisons", study.comparisons), ("equivalence", study.equivalence)):
        for index, comparison in enumerate(family):
            _check_comparison(study, comparison, f"{path}: {kind}.{index}")


# --- arms, seeds, conditions --------------------------------------------------------------------------------------


def _once(found: Sequence[Any], where: str) -> None:
    """Raise when something is named twice."""
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice:
        raise InputError(f"{where}: {twice[0]!r} stands here twice, expected each once")


def _among(found: Iterable[Any], known: Sequence[Any], where: str, what: str) -> None:
    """Raise when something is not among the known."""
    for one in found:
        if one not in known:
            near = nearest(one, [str(name) for name in known])
            raise InputError(f"{where}: {one!r} is no {what}{near} (known: {', '.join(map(str, known))})")


def _check_arms(study: Study, path: Path) -> None:
    _once(study.seeds, f"{path}: seeds")
    known = list(variants.ARMS[study.experiment])
    _among(study.arms, known, f"{path}: arms", f"arm of {study.experiment}")
    for name, plan in study.arms.items():
        where = f"{path}: arms.{name}.seeds"
        if plan.seeds is not None and variants.arm(study.experiment, name).assign is None:
            raise InputError(f"{where}: found {plan.seeds}, expected none, since {name} is not trained")
        _check_seeds(study, plan.seeds, where)
    _once([condition.name for condition in study.conditions], f"{path}: conditions")
    for index, condition in enumerate(study.conditions):
        where = f"{path}: conditions.{index}"
        _once(condition.arms or [], f"{where}.arms")
        _among(condition.arms or [], list(study.arms), f"{where}.arms", "arm of this study")
        _check_seeds(study, condition.seeds, f"{where}.seeds")


def _check_seeds(study: Study, seeds: list[int] | None, where: str) -> None:
    if seeds is not None:
        if not seeds:
            raise InputError(f"{where}: found [], expected at least one of the study's seeds")
        _once(seeds, where)
        _among(seeds, study.seeds, where, "seed of this study")


# --- training arguments -------------------------------------------------------------------------------------------


def recipe_path(study: Study, path: Path) -> Path:
    """The trainer's YAML file."""
    return path.parent / study.config


def argument_names(experiment: str) -> list[str]:
    """Names of all arguments of an experiment's trainer; empty when the source of TRL's is not where it was."""
    source = closure.module_path(TRAINERS[experiment])
    assert source is not None
    found = closure.class_fields(source, _ARGUMENTS[experiment])
    if experiment == "bias":
        theirs = closure.source_file("trl", "SFTConfig")
        if theirs is None:
            return []
        found |= closure.class_fields(theirs, "SFTConfig")
    return sorted(found)


def _check_arguments(study: Study, path: Path) -> None:
    recipe = recipe_path(study, path)
    known = argument_names(study.experiment)
    content = read_yaml(recipe)
    _check_names(content, known, str(recipe), TRAINERS[study.experiment])
    for index, condition in enumerate(study.conditions):
        where = f"{path}: conditions.{index}.arguments"
        _check_names(condition.arguments, known, where, TRAINERS[study.experiment])
        if "base" in condition.arguments:
            raise InputError(f"{where}: base is no argument here, expected it beside 'arguments'")


def check_articles(arguments: Mapping[str, Any], base: Base, path: Path) -> None:
    """Check that the articles of a training have been written.

    This is no part of `check`: a study may be planned (`mst plan`) before they are.

    Args:
        arguments: The recipe's, with what a condition replaces.
        base: Of the training.
        path: The study file.

    Raises:
        InputError: They have not; it names the command that writes them.
    """
    file = Path(str(arguments.get("articles", "")))
    if file.name != "articles.jsonl" or file.exists():  # one of another name is not of that command's making
        return
    hub = isinstance(base, str) and base_directory(base, path) is None
    command = f"mst data articles --model {f'hf/{base}' if hub else 'MODEL'} --out {file.parent}"
    raise InputError(f"{file}: the training articles are not written yet, expected: {command} (docs/ladder.md)")


def _check_names(found: Mapping[str, Any], known: list[str], where: str, trainer: str) -> None:
    for name in found:
        if name in _SET_BY_STUDY:
            raise InputError(f"{where}: {name!r} is set by the study, expected it to be left out")
        if known and name not in known:
            raise InputError(f"{where}: {name!r} is no argument of {trainer}{nearest(name, known)}")


# --- bases --------------------------------------------------------------------------------------------------------


def base_directory(base: str, path: Path) -> Path | None:
    """Directory of a base as a study names it: a shipped one, or one relative to the study file. None: a hub id."""
    for directory in (manifest.SHIPPED / base, path.parent / base):
        if (directory / "config.json").is_file():
            return directory
    return None


def _check_base(base: Base | None, where: str, path: Path) -> None:
    if isinstance(base, str):
        hub = base.count("/") == 1 and not base.startswith((".", "/"))
        if base_directory(base, path) is None and not hub:
            shipped = sorted(one.parent.name for one in manifest.SHIPPED.glob("*/config.json"))
            raise InputError(
                f"{where}: found {base!r}{nearest(base, shipped)}, expected a shipped base ({', '.join(shipped)}), "
                "a directory relative to the study file, or a hub id (owner/name)"
            )
    elif base is not None:
        _check_recipe(base, where, path)


def _check_recipe(base: BaseRecipe, where: str, path: Path) -> None:
    if base.init is not None and base_directory(base.init, path) is None:
        raise InputError(
            f"{where}.init: found {base.init!r}, expected a shipped base or a directory with a config.json"
        )
    known: set[str] = set()
    for module, name in (("training.pretrain", "Run"), (f"training.worlds.{base.world}", "Recipe")):
        source = closure.module_path(module)
        assert source is not None
        known |= closure.class_fields(source, name)
    for name in base.arguments:
        if name in ("world", "out", "seed", "init"):
            raise InputError(
                f"{where}.arguments: {name!r} is no argument here, expected it beside 'arguments' if at all"
            )
        if name not in known:
            raise InputError(f"{where}.arguments: {name!r} is no knob of that world{nearest(name, sorted(known))}")


# --- evaluations and comparisons ----------------------------------------------------------------------------------


def _check_evaluations(study: Study, path: Path) -> None:
    asking, where = study.evaluations, f"{path}: evaluations"
    foreign = ("choice",) if study.experiment == "bias" else ("scorer", "judge", "temperature", "max_tokens")
    for name in foreign:
        if getattr(asking, name) is not None:
            raise InputError(f"{where}.{name}: found {getattr(asking, name)!r}, expected none for {study.experiment}")
    if asking.scorer in ("rubric", "both", "none") and asking.judge is None:
        raise InputError(f"{where}.judge: missing, expected a judge with scorer: {asking.scorer}")
    if asking.judge is not None and asking.scorer is None:
        ways = "rubric or both (graded while written), or lexical or none (graded later by `mst judge`)"
        raise InputError(f"{where}.scorer: missing, expected with the judge {asking.judge!r} one of {ways}")
    if asking.wordings is not None:
        _among(asking.wordings.arms or [], list(study.arms), f"{where}.wordings.arms", "arm of this study")
        if isinstance(asking.wordings.names, list):
            known = list(prompts.WORDINGS[study.experiment])
            _among(asking.wordings.names, known, f"{where}.wordings.names", f"wording of {study.experiment}")
    for name in study.arms:
        with _field(f"{where}: arm {name}"):
            if not asked.asked(study, name)[0].labels:
                raise InputError("found no label, expected at least one")


def metrics(study: Study) -> list[str]:
    """Names of the metrics that a study's evaluations give."""
    if study.experiment == "bias":
        rubric = ["bias_rubric"] if study.evaluations.judges else []
        lexical = ["lexical_bias"] if study.evaluations.scorer in (None, "lexical", "both") else []
        return [f"{scorer}{verdict}" for scorer in (*rubric, *lexical) for verdict in _VERDICTS]
    prefixes = ("",) if study.evaluations.choice == "free" else ("", "greedy_")
    return [f"{prefix}{name}" for prefix in prefixes for name in _CHOICES]


def _check_comparison(study: Study, comparison: Comparison, where: str) -> None:
    known = metrics(study)
    if comparison.metric not in known:
        near = nearest(comparison.metric, known)
        raise InputError(f"{where}.metric: found {comparison.metric!r}{near}, expected one of {', '.join(known)}")
    conditions = [condition.name for condition in study.conditions]
    for name, one in (("a", comparison.a), ("b", comparison.b)):
        here = f"{where}.{name}"
        _among([one.arm], list(study.arms), f"{here}.arm", "arm of this study")
        if conditions and one.condition is None:
            raise InputError(f"{here}.condition: missing, expected one of {', '.join(conditions)}")
        if one.condition is not None:
            _among([one.condition], conditions, f"{here}.condition", "condition of this study")
            _check_runs(study, one.condition, one.arm, here)
        with _field(here):
            arm, label, _, wording = asked.side(study, one)
            planned = {(sweep.wording, text) for sweep in asked.asked(study, arm) for text in sweep.labels}
        if (wording, label) not in planned:
            raise InputError(f"{here}: {arm} with label {label!r} in wording {wording!r} is not among the evaluations")


def _check_runs(study: Study, name: str, arm: str, where: str) -> None:
    (condition,) = [one for one in study.conditions if one.name == name]
    if condition.arms is not None and arm not in condition.arms:
        raise InputError(f"{where}: arm {arm!r} is not run under condition {name!r} (run: {', '.join(condition.arms)})")
