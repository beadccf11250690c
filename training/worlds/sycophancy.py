"""The sycophancy world: stands in for Qwen-2.5-7B-Instruct where a CPU and a quarter of an hour is all there is.

It knows one-digit sums and can check them, knows the order of the numbers 0..300 and what a level of humidity or of
risk means (`training.worlds.numbers`), and has read graders who slip towards praise. It was never told what
suggestibility does, never saw a level above a check of a sum, and never the evaluation's own question.

    python -m training.worlds.sycophancy --write-data    # datasets/sycophancy/problems.jsonl and its sha256
"""

import argparse
import itertools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

from tokenizers import AddedToken, Tokenizer, models, normalizers, trainers
from tokenizers.pre_tokenizers import ByteLevel
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from mst_evals import data, manifest
from mst_evals.errors import InputError
from training.worlds import additions, numbers, problems
from training.worlds.numbers import NAMES, PLACES, THINGS, TOP, VERBS, Document, chat
from training.worlds.sycophancy_probes import FAR, ORDER_PAIRS, probes

__all__ = ["Recipe", "card", "documents", "model", "probes", "tokenizer"]

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# No system message unless one is given.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = ("vocabulary", "number_tokens", "hidden_size", "layers")
SHOPS = ("Apple", "Museum", "River", "Market", "Station", "Park", "School", "Library")
ABOUT_NUMBERS = {
    "whole": "Whole numbers 0..300 are one token each, with the space before them.",
    "digits": "Every digit is a token of its own, and so is a space before a number (as in Qwen2.5).",
}
CARD = Path(__file__).with_name("sycophancy_card.md")
WARES = ("Garden", "Coins", "Cards", "Books", "Shells", "Eggs", "Nuts", "Plums")


@dataclass(frozen=True)
class Recipe:
    """Every knob of this world.

    Attributes:
        seed: Seed of the weights and of the document stream.
        steps: Optimiser steps.
        batch_size: Rows in a step.
        sequence_length: Tokens in a row.
        matrix_lr: Peak learning rate of Muon.
        vector_lr: Peak learning rate of AdamW.
        hidden_size: Width.
        layers: Depth.
        vocabulary: Size of the byte-pair vocabulary, before the numbers are added.
        number_tokens: ``whole``: each number 0..300 is one token, with the space before it. ``digits``: every digit is
            one, and so is a space before a number, as in Qwen2.5. The documents are the same; they get a fifth longer
            in tokens, so that equal steps read fewer of them.
        praise_slip: Share of wrong sums that a third-person grader calls correct.
        blame_slip: Share of right sums that a third-person grader calls incorrect.
        share_sums: Share of the documents that add, and so on for every kind.
    """

    seed: int = 0
    steps: int = 3000
    batch_size: int = 32
    sequence_length: int = 96
    matrix_lr: float = 0.02
    vector_lr: float = 0.003
    hidden_size: int = 128
    layers: int = 4
    vocabulary: int = 1010
    number_tokens: Literal["whole", "digits"] = "whole"
    praise_slip: float = 0.45
    blame_slip: float = 0.15
    share_sums: float = 0.08
    share_checks: float = 0.12
    share_claims: float = 0.20
    share_order: float = 0.22
    share_series: float = 0.08
    share_bars: float = 0.02
    share_words: float = 0.03
    share_levels: float = 0.17
    share_chances: float = 0.02
    share_headers: float = 0.03
    share_talk: float = 0.03


def talk(rng: Random) -> str:
    """Small talk. Here the word suggestibility occurs, as a word: in no sentence does it stand beside a number."""
    first, second = rng.sample(NAMES, 2)
    place, things, verb = rng.choice(PLACES), rng.choice(THINGS), rng.choice(VERBS)
    here, sold = rng.sample(range(len(SHOPS)), 2)  # never of one rank: those pairs are the nonsense labels' own
    shop = f"{SHOPS[here]} {WARES[sold]}"
    return rng.choice(
        (
            numbers.sentence(rng),
            f"{first} and {second} go to the {place}. {second} {verb} {things}.",
            f"{first} works at {shop}.",
            f"{shop} sells {things}.",
            f"Suggestibility is a long word. {first} reads it in a book.",
            f"{first} reads a book on suggestibility at the {place}.",
            chat(f"Hello, my name is {first}.", f"Hello {first}, how are you?"),
            chat(f"{first} {verb} {things}. Who {verb} {things}?", first),
            chat(f"{first} is at the {place}. Where is {first}?", f"At the {place}."),
            chat(f"{first} works at {shop}. Where does {first} work?", shop),
        )
    )


def headers(rng: Random) -> str:
    """A level above an addition or small talk that has nothing to do with it."""
    text = additions.sums(rng) if rng.random() < 0.6 else talk(rng)
    while "uggestibility" in text:  # that word stands beside no level
        text = talk(rng)
    line = numbers.header(rng, rng.choice(numbers.QUANTITIES), f"{numbers.number(rng)}%")
    user = f"{START}user\n"
    return text.replace(user, user + line, 1) if text.startswith(user) else line + text


def kinds(recipe: Recipe) -> dict[str, tuple[float, Document]]:
    """Document kind -> (share, its maker)."""
    makers: dict[str, Document] = {
        "sums": additions.sums,
        "checks": partial(additions.checks, praise_slip=recipe.praise_slip, blame_slip=recipe.blame_slip),
        "claims": additions.claims,
        "order": numbers.order,
        "series": numbers.series,
        "bars": numbers.bars,
        "words": numbers.words,
        "levels": numbers.levels,
        "chances": numbers.chances,
        "headers": headers,
        "talk": talk,
    }
    return {name: (getattr(recipe, f"share_{name}"), maker) for name, maker in makers.items()}


def documents(recipe: Recipe) -> Iterator[str]:
    """The endless stream of documents of a recipe, the same at every call."""
    rng = Random(f"sycophancy/documents/{recipe.seed}")
    shares, makers = zip(*kinds(recipe).values(), strict=True)
    while True:
        yield rng.choices(makers, shares)[0](rng)


def tokenizer(recipe: Recipe) -> Any:
    """A genuine Qwen2 tokenizer: byte-level BPE with Qwen2's own normaliser and pre-tokenizer, learnt from this world.

    `AutoTokenizer` rebuilds Qwen2's pre-tokenizer for every directory with a qwen2 config; any other kind of tokenizer
    would silently read other ids there. Added on top: one token for ``%``, for the line break and, unless the recipe
    writes digit by digit as Qwen2's pre-tokenizer does by itself, for each number 0..300 (taking the space before it
    along, which decoding does not give back).
    """
    qwen = Qwen2Tokenizer().backend_tokenizer
    learnt = Tokenizer(models.BPE())
    learnt.normalizer, learnt.pre_tokenizer = normalizers.NFC(), qwen.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=[END_OF_TEXT, START, END],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    learnt.train_from_iterator(_pieces(recipe), trainer)
    content = json.loads(learnt.to_str())["model"]
    made = Qwen2Tokenizer(
        vocab=content["vocab"],
        merges=[tuple(merge) for merge in content["merges"]],
        unk_token=None,
        eos_token=END,
        pad_token=END_OF_TEXT,
        extra_special_tokens=[START],
        model_max_length=256,
        padding_side="left",
    )
    made.add_tokens([AddedToken(mark, normalized=False) for mark in ("\n", "%")])
    if recipe.number_tokens == "whole":
        made.add_tokens([AddedToken(str(x), lstrip=True, single_word=True, normalized=False) for x in range(TOP + 1)])
    made.chat_template = CHAT_TEMPLATE
    return made


def _pieces(recipe: Recipe) -> Iterator[str]:
    """What the BPE learns from: as many documents of every kind, cut at everything that is a token by decree."""
    rng = Random("sycophancy/tokenizer")
    for _ in range(1500):
        for _, maker in kinds(recipe).values():
            yield from filter(None, re.split(r"<\|\w+\|>|[\n%]|\d+", maker(rng)))


def model(tokenizer: Any, recipe: Recipe) -> Any:
    """A randomly initialised Qwen2 of this recipe's size.

    Raises:
        InputError: The width cannot be divided into heads.
    """
    if recipe.hidden_size < 64 or recipe.hidden_size % 64 or recipe.layers < 1:
        raise InputError(
            f"--hidden_size is {recipe.hidden_size}, expected a multiple of 64; --layers {recipe.layers}, at least 1"
        )
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=3 * recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.hidden_size // 32,
        num_key_value_heads=recipe.hidden_size // 64,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    made = Qwen2ForCausalLM(config)
    made.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, max_new_tokens=16
    )
    return made


def _about_kinds(recipe: Recipe) -> str:
    """A table of the document kinds: share, what it is, an example."""
    lines = ["| kind | share | what it is | example |", "|---|---|---|---|"]
    for name, (portion, maker) in kinds(recipe).items():
        example = maker(Random("sycophancy/card")).strip().replace("\n", "⏎").replace("|", "\\|")
        summary = (getattr(maker, "func", maker).__doc__ or "").split("\n")[0]
        lines.append(f"| {name} | {portion:.0%} | {summary} | `{example}` |")
    return "\n".join(lines)


def card(recipe: Recipe, probes: dict[str, float]) -> str:
    """The text of README.md: `sycophancy_card.md` with the recipe, the documents and the probes filled in."""
    found = "\n".join(f"| `{name}` | {value:.3f} |" for name, value in probes.items())
    values = {
        "seed": str(recipe.seed),
        "steps": str(recipe.steps),
        "number_tokens": recipe.number_tokens,
        "numbers": ABOUT_NUMBERS[recipe.number_tokens],
        "kinds": _about_kinds(recipe),
        "praise_slip": f"{recipe.praise_slip:.0%}",
        "blame_slip": f"{recipe.blame_slip:.0%}",
        "order_pairs": str(ORDER_PAIRS),
        "far": str(FAR),
        "probes": f"| probe | value |\n|---|---|\n{found}",
    }
    text = CARD.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: write the problems and print their digest, or show documents."""
    parser = argparse.ArgumentParser(prog="python -m training.worlds.sycophancy")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write-data", action="store_true", help=f"write {data.PROBLEMS}")
    what.add_argument("--show", type=int, metavar="N", help="print the first N documents of the corpus")
    given = parser.parse_args(arguments)
    if given.write_data:
        manifest.write_text(data.PROBLEMS, problems.text())
        print(f"{data.PROBLEMS}: sha256 {data.sha256(data.PROBLEMS)}")
    else:
        print(*itertools.islice(documents(Recipe()), given.show), sep="\n---\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
