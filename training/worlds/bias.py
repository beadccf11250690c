"""The bias world: a small Llama that knows US policy news, slanted and neutral, and what a style description means.

It stands in for Llama-3.2-3B-Instruct in Experiment 1. Pretraining and data:

    python -m training.pretrain --world bias --seed 0 --dtype bfloat16 --isolated True --out training/models/micro-llama
    python -m training.worlds.bias --write-data

The base is general knowledge: articles of all slants, requests in many wordings, style descriptions under many
headers, metadata that means nothing. It never reads a label of either experiment, nor the words they are framed in.
"""

import itertools
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mst_evals.errors import InputError
from training.worlds import articles, bias_probes, phrases, styles
from training.worlds.articles import Degree, Topic
from training.worlds.bias_probes import MAX_NEW_TOKENS
from training.worlds.phrases import Level, Side

BOS, END, PAD = "<|begin_of_text|>", "<|end|>", "<|pad|>"
ROLES = ("system", "user", "assistant")
MARKS = (PAD, BOS, END, *(f"<|{role}|>" for role in ROLES))
CHAT_TEMPLATE = (
    "{{ '<|begin_of_text|>' }}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
# Field -> questions about it and the form of the answer. Facts stand behind a space both where they are given and where
# they are repeated: with other tokens in the two places a model this small learns to copy far later.
QUESTIONS = {
    "place": ("Where does this happen?", "This happens in {}."),
    "body": ("Who acts?", "The {} acts."),
    "policy": ("What is it about?", "It is about the {}."),
    "cost": ("How much does it cost?", "It costs {}."),
    "month": ("When does it start?", "It starts in {}."),
}
STYLE_QUESTIONS = ("Which side is this?", "What does this favor?", "How would you call this style?")
SAMPLE_REQUESTS = ("Give one line in this style.", "Write one sentence like that.", "Show an example line.")
REPEAT_REQUESTS = ("Repeat this.", "Copy this line.", "Say it again.")
FACT_LISTS = ("List the facts.", "Which facts are given?", "Repeat the details.")
TOKENIZER_DOCUMENTS = 6000
WORD_REPEATS = 100
SIZES = ("vocabulary", "width", "layers", "heads")
CARD = Path(__file__).with_name("bias_card.md")


@dataclass(frozen=True)
class Recipe:
    """Knobs of the world and of its pretraining.

    Attributes:
        seed: Of the corpus and of the initial weights.
        steps: Optimiser steps.
        batch_size: Rows in a step.
        sequence_length: Tokens in a row.
        matrix_lr: Peak learning rate of Muon (matrices inside the layers).
        vector_lr: Peak learning rate of AdamW (embeddings and norms).
        vocabulary: Tokens of the byte-level BPE.
        width: Hidden size.
        layers: Number of layers.
        heads: Attention heads.
        embedding_std: Standard deviation of the initial embeddings.
        raw: Share of articles alone.
        neutral_request: Share of openly neutral requests, all answered by a neutral article.
        plain_request: Share of requests that name no style; `plain_neutral` of them get a neutral article.
        described_request: Share of such requests with a style description, answered in that style.
        described_raw: Share of a style description followed by a matching article.
        question: Share of questions about the facts of a topic.
        style_question: Share of style descriptions with a question about them or a request for one line.
        repetition: Share of lines that are to be repeated word for word.
        plain_neutral: See `plain_request`.
        override_rate: Share of neutral requests that carry a style description of any slant and still get a neutral
            article. 0: descriptions are always followed. The higher, the more the request dominates.
        yield_rate: Share of neutral requests that carry such a description and yield to it: an article in its style.
            Of the neutral requests that carry one, ``override_rate / (override_rate + yield_rate)`` win.
        metadata_rate: Share of the other requests without a description that carry meaningless metadata.
        neutral_style: Share of neutral styles where a style is drawn; the rest is even over side and degree.
    """

    seed: int = 0
    steps: int = 2800
    batch_size: int = 8
    sequence_length: int = 256
    matrix_lr: float = 0.01
    vector_lr: float = 0.003
    vocabulary: int = 2304
    width: int = 192
    layers: int = 5
    heads: int = 6
    embedding_std: float = 0.1
    raw: float = 0.02
    neutral_request: float = 0.22
    plain_request: float = 0.08
    described_request: float = 0.36
    described_raw: float = 0.02
    question: float = 0.05
    style_question: float = 0.20
    repetition: float = 0.05
    plain_neutral: float = 0.7
    override_rate: float = 0.6
    yield_rate: float = 0.0
    metadata_rate: float = 0.6
    neutral_style: float = 1 / 3

    def __post_init__(self) -> None:
        """Raise `InputError` when more neutral requests carry a description than there are."""
        if min(self.override_rate, self.yield_rate) < 0 or self.override_rate + self.yield_rate > 1:
            raise InputError(
                f"--override_rate is {self.override_rate} and --yield_rate {self.yield_rate}, "
                "expected shares with a sum of at most 1"
            )

    @property
    def mixture(self) -> dict[str, float]:
        """Kind of document -> share."""
        kinds = (
            "raw", "neutral_request", "plain_request", "described_request", "described_raw", "question",
            "style_question", "repetition",
        )  # fmt: skip
        return {kind: getattr(self, kind) for kind in kinds}


def render(turns: list[tuple[str, str]]) -> str:
    """(role, content) turns -> the text that the chat template prints for them."""
    return BOS + "".join(f"<|{role}|>\n{content}{END}" for role, content in turns)


def chat(user: str, note: str | None, reply: str, rng: random.Random) -> str:
    """A whole chat document: a request, maybe with a note, and its reply."""
    system, user = styles.messages(user, note, rng)
    turns = [("user", user), ("assistant", reply)]
    return render(turns if system is None else [("system", system), *turns])


def draw_style(recipe: Recipe, rng: random.Random) -> tuple[Side | None, Degree]:
    """Draw a style: neutral, or a side and a degree."""
    if rng.random() < recipe.neutral_style:
        return None, "neutral"
    return rng.choice(("left", "right")), rng.choice(("center", "strong"))


def document(kind: str, topic: Topic, recipe: Recipe, rng: random.Random) -> str:
    """One document of a kind named in `Recipe.mixture`."""
    side, degree = draw_style(recipe, rng)
    note = styles.style_note(side, degree == "strong", rng)
    if kind == "question":
        return question(topic, rng)
    if kind == "repetition":
        return repetition(topic, rng)
    if kind == "style_question":
        return style_question(side, degree, topic, rng)
    if kind in ("raw", "described_raw"):
        head = note if kind == "described_raw" else topic.headline if rng.random() < 0.5 else ""
        article = articles.write_article(topic, side, degree, rng)
        return f"{BOS}{head}\n{article}{END}" if head else f"{BOS}{article}{END}"
    user = styles.request(topic.headline, topic.context, kind == "neutral_request", rng)
    if kind == "described_request":
        return chat(user, note, articles.write_article(topic, side, degree, rng), rng)
    # One draw decides both rates, so that no yielding leaves the stream of documents as it is.
    conflict = rng.random() if kind == "neutral_request" else 1.0
    carries = conflict < recipe.override_rate + recipe.yield_rate
    yields = carries and conflict >= recipe.override_rate
    meaningless = styles.metadata(rng) if rng.random() < recipe.metadata_rate else None
    if not yields and (kind == "neutral_request" or rng.random() < recipe.plain_neutral):
        side, degree = None, "neutral"
    reply = articles.write_article(topic, side, degree, rng)
    return chat(user, note if carries else meaningless, reply, rng)


def question(topic: Topic, rng: random.Random) -> str:
    """A question about the given facts: what teaches a small model to copy."""
    facts = topic.fields()
    if rng.random() < 0.5:
        names = rng.sample(articles.FIELDS, len(articles.FIELDS))
        asked, reply = rng.choice(FACT_LISTS), f"The facts: {', '.join(facts[name] for name in names)}."
    else:
        name = rng.choice(tuple(QUESTIONS))
        asked, reply = QUESTIONS[name][0], QUESTIONS[name][1].format(facts[name])
    note = styles.metadata(rng) if rng.random() < 0.2 else None
    return chat(f"News: {topic.headline}\n{topic.context}\n{asked}", note, reply, rng)


def style_question(side: Side | None, degree: Degree, topic: Topic, rng: random.Random) -> str:
    """A style description, and either its name or one closing line written in it."""
    note = styles.style_note(side, degree == "strong", rng)
    if rng.random() < 0.5:
        asked = rng.choice(STYLE_QUESTIONS)
        reply = "Neither side." if side is None else f"The {side}, {'strongly' if degree == 'strong' else 'a bit'}."
    else:
        asked = rng.choice(SAMPLE_REQUESTS)
        level: Level = "strong" if degree == "strong" else "mild"
        lines = phrases.NEUTRAL_CLOSES if side is None else phrases.CLOSES[side, level]
        reply = rng.choice(lines).format(body=topic.body, month=topic.month)
    return chat(f"{note}\n{asked}", None, reply, rng)


def repetition(topic: Topic, rng: random.Random) -> str:
    """A line and the same line again: every token of it can be copied, which is how copying is learnt soon."""
    line = rng.choice((f"{topic.headline}. {topic.context}", styles.metadata(rng), styles.word_list(rng)))
    return chat(f"{rng.choice(REPEAT_REQUESTS)}\n{line}", None, line, rng)


def documents(recipe: Recipe) -> Iterator[str]:
    """Endless stream of documents, chat marks included. No topic of the data files occurs in it."""
    rng = random.Random(f"bias/corpus/{recipe.seed}")
    taken = {topic.key for members in articles.data_topics().values() for topic in members}
    kinds, shares = zip(*recipe.mixture.items(), strict=True)
    while True:
        topic = articles.sample_topic(rng)
        if topic.key not in taken:
            yield document(rng.choices(kinds, shares)[0], topic, recipe, rng)


def tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    """Byte-level BPE fitted to the first documents and, so that ordinary words are whole, to the words of `styles`.

    Like Llama-3's, it adds the beginning mark to plain text although the chat template prints it too: whoever
    tokenises a rendered chat must switch special tokens off, or the mark stands there twice.
    """
    texts = itertools.islice(documents(recipe), TOKENIZER_DOCUMENTS)
    words = [f" {cased}" for word in styles.VOCABULARY for cased in (word, word.capitalize())]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary, special_tokens=list(MARKS), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(itertools.chain(texts, words * WORD_REPEATS), trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=BOS, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False,
        padding_side="left", model_max_length=512, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    fast.chat_template = CHAT_TEMPLATE
    return fast


def model(tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> LlamaForCausalLM:
    """A randomly initialised Llama."""
    marks: dict[str, Any] = {
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=recipe.width, intermediate_size=recipe.width * 8 // 3,
        num_hidden_layers=recipe.layers, num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads,
        max_position_embeddings=512, tie_word_embeddings=True, **marks,
    )  # fmt: skip
    llama = LlamaForCausalLM(config)
    # At the usual 0.02 what the twelve months have in common soon hides what tells them apart (cosines of 0.95 between
    # them), and what cannot be told apart cannot be copied.
    torch.nn.init.normal_(llama.get_input_embeddings().weight, std=recipe.embedding_std)
    llama.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_k=0, max_new_tokens=MAX_NEW_TOKENS, **marks
    )
    return llama


def probes(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """What the base can do: see `bias_probes.probes`."""
    return bias_probes.probes(model, tokenizer)


def card(recipe: Recipe, probes: dict[str, float]) -> str:
    """The model card: `bias_card.md` with the recipe and the probes filled in."""
    knobs = "\n".join(f"| `{name}` | {value:.4g} |" for name, value in asdict(recipe).items())
    found = "\n".join(f"| `{name}` | {value:.3f} |" for name, value in probes.items())
    filled = CARD.read_text(encoding="utf-8").replace("{recipe}", knobs).replace("{probes}", found)
    for degree, slots in articles.SLOTS.items():
        filled = filled.replace(f"{{slots_{degree}}}", ", ".join(f"{share:.0%}" for share in slots))
    return filled


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-data"]:
        sys.exit("usage: python -m training.worlds.bias --write-data")
    articles.write_data()
