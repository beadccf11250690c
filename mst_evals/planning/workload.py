"""What a study trains and asks, as sizes: rows, tokens, samples. Neither base nor articles have to be here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mst_evals import data, examples, manifest, prompts, tokens, variants
from mst_evals.planning import cuts, shapes
from mst_evals.planning.cuts import Cut
from mst_evals.planning.settings import Training, training
from mst_evals.planning.shapes import Shape
from mst_evals.prompts import Messages
from mst_evals.studies import asked, checks, inputs
from mst_evals.studies.cells import rows_file
from mst_evals.studies.study import ArmPlan, BaseRecipe, Condition, Study
from mst_evals.studies.study_file import read_yaml

MICRO = {"bias": "micro-llama", "sycophancy": "micro-qwen"}  # the shipped base of each world
# Limits of `mst data articles`, with the space behind a word; for a file of articles that is not there yet.
ARTICLE_WORDS, WORD = (80, 320), 6
# English news prose in vocabularies of 49,000 to 152,000 entries. Assumed: no tokenizer of the table is here.
CHARACTERS = (3.5, 5.0)
TEMPLATE = (15, 45)  # tokens that a chat template adds; Llama 3.2's states two dates
CLOSING = 2  # tokens after a reply
Range = tuple[float, float]


@dataclass(frozen=True)
class Length:
    """Tokens of a kind of text.

    Attributes:
        mean: Lowest and highest estimate of the mean; equal where they were counted.
        longest: Of the longest one, at most.
    """

    mean: Range
    longest: int

    def __add__(self, other: "Length") -> "Length":
        low, high = (a + b for a, b in zip(self.mean, other.mean, strict=True))
        return Length((low, high), self.longest + other.longest)

    def capped(self, limit: int | None) -> "Length":
        """The same, with every text cut at a limit."""
        if limit is None:
            return self
        return Length((min(self.mean[0], limit), min(self.mean[1], limit)), min(self.longest, limit))


@dataclass(frozen=True)
class ArmWork:
    """One arm under one condition.

    Attributes:
        name: Of the arm.
        runs: Models: its training seeds, 1 where nothing is trained.
        trained: Whether anything is trained.
        rows: Training rows of one model.
        row: Tokens of a training row: the prompt, and the reply where one is learnt.
        probed: Tokens of the longest row of the label's probe, 0 without one.
        samples: Samples of each sweep.
        prompt: Tokens of a prompt of the evaluation.
        cut: Training rows that exceed the limit, None where they cannot be counted or there is no limit.
    """

    name: str
    runs: int
    trained: bool
    rows: int
    row: Length
    probed: int
    samples: tuple[int, ...]
    prompt: Length
    cut: Cut | None = None


@dataclass(frozen=True)
class Case:
    """One condition of a study; the whole study where it has none.

    Attributes:
        condition: Its name, empty for none.
        base: Name of the base.
        here: Bytes of the base's weights on this disk, None when they are to be fetched or built.
        shape: Of the base.
        arguments: The recipe as files state it.
        training: What of it is planned with.
        arms: What is trained and asked.
        notes: What was assumed.
    """

    condition: str
    base: str
    here: int | None
    shape: Shape
    arguments: Mapping[str, Any]
    training: Training
    arms: tuple[ArmWork, ...]
    notes: tuple[str, ...] = ()


def cases(study: Study, path: Path) -> list[Case]:
    """The cases of a checked study.

    Args:
        study: What `studies.checks.read` returned.
        path: Its file.

    Raises:
        InputError: A base's shape is not known, or a file of the study cannot be used.
    """
    recipe = read_yaml(checks.recipe_path(study, path))
    conditions = study.conditions or [Condition.model_construct(name="")]
    return [_case(study, path, condition, {**recipe, **condition.arguments}) for condition in conditions]


def _case(study: Study, path: Path, condition: Condition, recipe: Mapping[str, Any]) -> Case:
    base, place, notes = _base(condition.base or study.base, path)
    where = str(checks.recipe_path(study, path)) + (f" with condition {condition.name}" if condition.name else "")
    planned = training(study.experiment, recipe, where)
    shape = shapes.of_hub(place) if isinstance(place, str) else shapes.of_directory(place)
    counter = tokenizer(place)
    if counter is None:
        low, high = CHARACTERS
        notes += [f"the tokenizer of {base} is not here: {low:g} to {high:g} characters a token assumed"]
    rows, replies, more = _training_rows(study.experiment, recipe, planned)
    countable = counter is not None and replies is None
    if planned.max_length is not None and not countable:
        unknown = f"which rows exceed max_length {planned.max_length:,}, and lose their end in training"
        more.append(f"not known before tokenizer and articles are here: {unknown}")
    loaded = data.load_topics if study.experiment == "bias" else data.load_problems
    questions = loaded(rows_file(study, path), study.evaluations.split, study.evaluations.rows)
    arms = []
    for name in condition.arms or study.arms:
        arm, seeds = variants.arm(study.experiment, name), _seeds(study, condition, name)
        sweeps = tuple(asked.samples(study, name, sweep, len(questions)) for sweep in asked.asked(study, name))
        prompt = of_prompts(_prompts(arm, None, questions, True), counter)
        if arm.assign is None:
            arms.append(ArmWork(name, 1, False, 0, Length((0, 0), 0), 0, sweeps, prompt))
            continue
        chosen = arm.select(rows, lambda row: 0.0)  # how many, whichever: only the number counts here
        row = of_prompts(_prompts(arm, recipe.get("wording"), chosen, arm.has_labels), counter)
        row = _with_reply(row, chosen, replies, counter)
        probed = row.longest if arm.has_labels else 0
        row = row.capped(planned.max_length)
        cut = _cut(name, condition.name, seeds[0], recipe, planned, counter) if countable and seeds else None
        arms.append(ArmWork(name, len(seeds), True, len(chosen), row, probed, sweeps, prompt, cut))
    size = None if isinstance(place, str) else sum(file.stat().st_size for file in place.glob("*.safetensors")) or None
    return Case(condition.name, base, size, shape, recipe, planned, tuple(arms), (*notes, *more))


def _base(base: str | BaseRecipe, path: Path) -> tuple[str, Path | str, list[str]]:
    """Name of a base, where its shape is looked up, and what has to be said about it."""
    if isinstance(base, str):
        directory = checks.base_directory(base, path)
        return base, base if directory is None else directory, []
    if base.init is not None:
        directory = checks.base_directory(base.init, path)
        assert directory is not None
    else:
        directory = manifest.SHIPPED / MICRO[base.world]
    return (
        f"{base.world} world, seed {base.seed}",
        directory,
        [f"a base that the study builds is taken to be like {directory.name}"],
    )


def _seeds(study: Study, condition: Condition, arm: str) -> list[int]:
    """Training seeds of an arm under a condition, as `studies.cells` takes them."""
    chosen = study.arms.get(arm, ArmPlan()).seeds or study.seeds
    return [seed for seed in chosen if condition.seeds is None or seed in condition.seeds]


def _training_rows(
    experiment: str, recipe: Mapping[str, Any], planned: Training
) -> tuple[list[data.Row], Length | None, list[str]]:
    """Training rows; tokens of a reply that is not there yet; what was assumed.

    Without the file of articles the project's topics stand for them, each with a profile.
    """
    if experiment == "sycophancy":
        return data.load_problems(Path(recipe.get("problems", data.PROBLEMS)), "train", planned.rows), None, []
    path = Path(recipe.get("articles", data.MICRO_ARTICLES))
    if path.is_file():
        return data.load_articles(path, "train", planned.rows), None, []
    profiles = variants.AXES[experiment].trained
    topics = data.load_topics(data.TOPICS, "train", planned.rows)
    rows = [dict(row) | {"profile": profiles[number % len(profiles)]} for number, row in enumerate(topics)]
    least, most = ARTICLE_WORDS
    note = (
        f"{path} is not there: {len(rows):,} articles of {least} to {most} words assumed, one for each training topic "
        f"of {data.TOPICS.name}"
    )
    spared = len(data.load_topics(data.TOPICS, "validation"))
    writing = (
        f"not in the hours: mst data articles, which writes at least these {len(rows):,} articles and {spared:,} for "
        "validation before anything is trained"
    )
    return rows, of_characters(least * WORD, most * WORD), [note, writing]


def _cut(arm: str, condition: str, seed: int, recipe: Mapping[str, Any], planned: Training, counter: Any) -> Cut | None:
    """Rows of an arm that are too long, with the labels that a training gives them."""
    scores = recipe.get("scores", examples.LEXICAL)
    if planned.max_length is None or not (scores == examples.LEXICAL or Path(scores).is_file()):
        return None
    articles = Path(recipe.get("articles", data.MICRO_ARTICLES))
    rows = examples.examples("bias", arm, seed, recipe.get("wording"), articles, planned.rows, scores=scores)
    return cuts.cut(arm, condition, seed, planned.max_length, rows, counter)


def _prompts(arm: variants.Arm, wording: str | None, rows: Sequence[variants.Row], labelled: bool) -> list[Messages]:
    """Prompts of rows, with the longest trained label where there is one."""
    how = prompts.wording(arm.experiment, wording)
    texts = [text for name in arm.axis.trained for text in arm.axis.label(name).texts]
    label = max(texts, key=len) if labelled else None
    return [how.build(row, label, arm.markup) for row in rows]


def _with_reply(prompt: Length, rows: Sequence[variants.Row], unwritten: Length | None, counter: Any | None) -> Length:
    if unwritten is not None:
        return prompt + unwritten
    if "article" in rows[0]:
        return prompt + of_replies([row["article"] for row in rows], counter)
    return prompt


def reply_tokens(study: Study) -> int:
    """Most tokens of a reply."""
    return int(inputs.settings(study).get("max_tokens", 1))


# --- tokens of texts ------------------------------------------------------------------------------------------------


def tokenizer(base: Path | str) -> Any | None:
    """The tokenizer of a base, None when it is not here: no file of the directory, or not in the local hub cache."""
    if isinstance(base, str):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(base, "tokenizer_config.json")
        here = isinstance(found, str)
    else:
        here = (base / "tokenizer_config.json").is_file()
    if not here:
        return None
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(str(base), local_files_only=True)
    if not loaded.chat_template:
        return None
    tokens.undate(loaded)  # as training does
    return loaded


def of_prompts(prompts: Sequence[Messages], counter: Any | None) -> Length:
    """Tokens of prompts up to where the reply starts."""
    if counter is not None:
        return _counted([len(tokens.encode(counter, prompt)) for prompt in prompts])
    return _estimated([sum(len(turn["content"]) for turn in prompt) for prompt in prompts], TEMPLATE)


def of_replies(replies: Sequence[str], counter: Any | None) -> Length:
    """Tokens of replies and of what closes them."""
    if counter is not None:
        ids = counter(list(replies), add_special_tokens=False)["input_ids"]
        return _counted([len(row) + CLOSING for row in ids])
    return _estimated([len(reply) for reply in replies], (CLOSING, CLOSING))


def of_characters(least: int, most: int) -> Length:
    """Tokens of texts of which only the limits of their length are known."""
    return Length((least / CHARACTERS[1], most / CHARACTERS[0]), math.ceil(most / CHARACTERS[0]))


def _counted(numbers: Sequence[int]) -> Length:
    mean = sum(numbers) / len(numbers)
    return Length((mean, mean), max(numbers))


def _estimated(characters: Sequence[int], more: tuple[int, int]) -> Length:
    mean = sum(characters) / len(characters)
    low, high = mean / CHARACTERS[1] + more[0], mean / CHARACTERS[0] + more[1]
    return Length((low, high), math.ceil(max(characters) / CHARACTERS[0]) + more[1])
