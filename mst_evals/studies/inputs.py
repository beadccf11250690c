"""What the results of a study depend on, part by part: data, code, base and arguments. Nothing here imports torch.

Data are hashed as they are rendered: the training rows with their labels and rewards, the questions with their
messages. The code that renders them therefore does not count as code (`closure.LEFT_OUT`).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from mst_evals import data, examples, manifest, prompts, variants
from mst_evals.studies import asked, checks, closure
from mst_evals.studies.asked import Asked
from mst_evals.studies.study import BaseRecipe, Study

TEMPERATURE, MAX_TOKENS = 0.7, 160  # of articles: sampling as in the source; a micro article has about 90 tokens
# Arguments whose effect is hashed as data or base, or that have none.
_NO_ARGUMENT = {
    "articles", "problems", "scores", "base", "output_dir", "condition", "probe_every", "probe_rows", "logging_steps",
    "report_to", "disable_tqdm",
}  # fmt: skip
# Code that only the other experiment's answers pass through, and that only those of a judge do.
_FOREIGN = {"bias": {"mst_evals.answers"}, "sycophancy": {"mst_evals.lexical"}}
_JUDGE = {"mst_evals.judge", "mst_evals.judge_batches", "mst_evals.rubrics"}
_OF_BASE = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
Known = dict[str, str]  # digests of an earlier call, by what they are of; new ones are added


def _once(known: Known, of: Any, make: Callable[[], str]) -> str:
    """A digest that is known already, or made and kept; `of` holds everything it depends on, code and files too."""
    key = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
    if key not in known:
        known[key] = make()
    return known[key]


@cache
def _file_digest(path: Path, changed: int) -> str:
    return data.sha256(path)


def _sha256(path: Path) -> str:
    """Digest of a file; read once in a process unless it changes."""
    return _file_digest(path, path.stat().st_mtime_ns) if path.is_file() else data.sha256(path)


def base_identity(base: str | Path | None, recipe: str = "") -> dict[str, str]:
    """What stands for a base in a fingerprint: digests of its weights, configuration and tokenizer, file by file.

    Args:
        base: Directory, hub id (which stands for itself), or None for a base that the study builds.
        recipe: Fingerprint of the latter, by which it is known before it is there.
    """
    if base is None:
        return {"recipe": recipe}
    if isinstance(base, str):
        return {"hub": base}
    files = {path for pattern in _OF_BASE for path in base.glob(pattern)} - {base / manifest.FILE}
    return {path.name: _sha256(path)[:16] for path in sorted(files)}


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as they are compared: 1 and 1.0 are one number."""
    numbers = {name: float(v) for name, v in arguments.items() if isinstance(v, int) and not isinstance(v, bool)}
    return {**arguments, **numbers}


def of_base(recipe: BaseRecipe, init: Path | None) -> dict[str, Any]:
    """Inputs of a base that the study builds, from random weights or from a base in a directory."""
    return {
        "arguments": _plain({"seed": recipe.seed, **recipe.arguments}),
        "base": base_identity(init) if init else {},
        "code": closure.digests(["training.pretrain", f"training.worlds.{recipe.world}"]),
    }


def of_training(
    experiment: str, arm: str, seed: int, arguments: Mapping[str, Any], base: Mapping[str, str], known: Known
) -> dict[str, Any]:
    """Inputs of an adapter.

    Args:
        experiment: ``bias`` or ``sycophancy``.
        arm: Name of a trained arm.
        seed: Training seed.
        arguments: The recipe's, with what a condition replaces.
        base: Identity of its base.
        known: Digests found earlier.
    """
    kept = {name: value for name, value in arguments.items() if name not in _NO_ARGUMENT}
    return {
        "data": _examples_digest(experiment, arm, seed, arguments, known),
        "arguments": _plain({"seed": seed, **kept}),
        "base": dict(base),
        "code": closure.digests([checks.TRAINERS[experiment]]),
    }


def _examples_digest(experiment: str, arm: str, seed: int, arguments: Mapping[str, Any], known: Known) -> str:
    """Digest of the rendered training rows; the file of scores, if any, takes effect through the rows chosen."""
    default = data.MICRO_ARTICLES if experiment == "bias" else data.PROBLEMS
    path = Path(arguments.get("articles", arguments.get("problems", default)))
    chosen = {name: arguments[name] for name in ("wording", "rows", "scores") if name in arguments}
    scores = Path(str(chosen.get("scores", "")))
    files = [_sha256(path), _sha256(scores) if scores.is_file() else ""]
    of = [experiment, arm, seed, chosen, files, closure.digests(["mst_evals.examples"], without=())]
    return _once(known, of, lambda: examples.digest(examples.examples(experiment, arm, seed, path=path, **chosen)))


def of_evaluation(
    study: Study, arm: str, sweep: Asked, model: Mapping[str, str], rows: Path, known: Known
) -> dict[str, Any]:
    """Inputs of the log of one sweep.

    Args:
        study: Its evaluations.
        arm: Name of the arm that is asked.
        sweep: Wording and labels.
        model: What stands for the model: the fingerprint of its training, or the identity of a bare base.
        rows: File of topics or problems.
        known: Digests found earlier.
    """
    given = settings(study)
    left_out = {*closure.LEFT_OUT, *_FOREIGN[study.experiment], *(() if "judge" in given else _JUDGE)}
    return {
        "data": _questions_digest(study, variants.arm(study.experiment, arm), sweep, rows, known),
        "arguments": _plain(given),
        "model": dict(model),
        "code": closure.digests([f"mst_evals.{study.experiment}", "mst_evals.provider"], left_out),
    }


def settings(study: Study) -> dict[str, Any]:
    """Settings that the answers depend on, beside rows, labels and wording; no judge who grades them later."""
    given = study.evaluations
    if study.experiment == "sycophancy":
        return {"choice": given.choice or "forced"}
    temperature = TEMPERATURE if given.temperature is None else given.temperature
    found = {"scorer": given.scorer or "lexical", "temperature": temperature}
    judge = {"judge": given.judge} if given.judge and not given.judged_later else {}
    return found | {"max_tokens": given.max_tokens or MAX_TOKENS} | judge


def _questions_digest(study: Study, arm: variants.Arm, sweep: Asked, path: Path, known: Known) -> str:
    """sha256 of every question of a sweep as it is rendered, with the facts of its row and labels."""
    shown = [(name, text) for name in sweep.labels for text in asked.label_texts(arm.axis, name)]
    about = [asdict(arm.axis.label(name)) for name in sweep.labels]
    split, limit = study.evaluations.split, study.evaluations.rows
    load = data.load_topics if study.experiment == "bias" else data.load_problems

    def make() -> str:
        build = prompts.wording(study.experiment, sweep.wording).build
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for row in load(path, split, limit):
            messages = [build(row, text, arm.markup) for _, text in shown]
            facts = [data.is_right(row), data.pair(row)] if study.experiment == "sycophancy" else []
            digest.update(json.dumps([row, facts, messages], sort_keys=True).encode())
        return digest.hexdigest()

    code = closure.digests(["mst_evals.prompts", "mst_evals.data"], without=())
    return _once(known, [study.experiment, sweep.wording, arm.markup, about, split, limit, _sha256(path), code], make)
