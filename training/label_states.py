"""What a base makes of a label: its tokens in the evaluation's own prompt, and the states at them.

"The label" is here what is left of its text without the beginning and the end that all trained labels share: the
number of a suggestibility level. (The percent sign behind it can be blind: in micro-qwen its state is the same
whatever the number.) Where the label is several tokens, their mean embedding knows no order among them: of a number
written digit by digit it says little.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mst_evals import data, prompts, tokens
from mst_evals.labels import Axis
from training.directions import probed

BATCH_SIZE = 32
POSITIONS = {
    "label": "mean over the tokens of the label without what all trained labels share; at layer 0 the embeddings",
    "label_last": "the last of these tokens",
    "prompt_end": "the last token before the reply",
}
Place = tuple[str, int]  # (name of a position, layer)


@dataclass(frozen=True)
class Prompt:
    """Token ids of a prompt, and which of them (from, up to) are the label's; None without a label."""

    ids: list[int]
    label: tuple[int, int] | None


def shared(texts: Sequence[str]) -> int:
    """How many characters the texts have in common at their beginning."""
    return len(list(itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))))


def own_part(axis: Axis, text: str) -> tuple[int, int]:
    """From and up to which character a label says what the trained labels do not all say.

    A label that begins or ends otherwise than they do keeps that end.
    """
    trained = [axis.label(name).texts[0] for name in axis.trained]
    before = trained[0][: shared(trained)]
    after = trained[0][len(trained[0]) - shared([one[::-1] for one in trained]) :]
    return len(before) if text.startswith(before) else 0, len(text.removesuffix(after))


def locate(tokenizer: Any, messages: prompts.Messages, text: str | None, part: tuple[int, int]) -> Prompt:
    """Find the tokens of a part of a label in the prompt of the evaluation.

    Args:
        tokenizer: A fast tokenizer, which knows where its tokens come from.
        messages: The prompt.
        text: The label in it, None when there is none.
        part: From and up to which character of the label.
    """
    ids = tokens.encode(tokenizer, messages)
    if text is None:
        return Prompt(ids, None)
    rendered = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    start, end = (rendered.index(text) + offset for offset in part)
    offsets = tokenizer(rendered, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    inside = [i for i, (first, last) in enumerate(offsets) if first < end and last > start]
    return Prompt(ids, (inside[0], inside[-1] + 1))


@torch.no_grad()
def states(model: Any, tokenizer: Any, batch: Sequence[Prompt]) -> dict[Place, torch.Tensor]:
    """Place -> states (batch, hidden) of prompts that all have a label, or all have none.

    Without a label there is no position but ``prompt_end``. At layer 0 only ``label`` is read: the others are the same
    token in every prompt, or nearly so.
    """
    longest = max(len(one.ids) for one in batch)
    padding = [longest - len(one.ids) for one in batch]  # on the left
    ids = [[tokenizer.pad_token_id] * pad + one.ids for pad, one in zip(padding, batch, strict=True)]
    mask = torch.tensor([[0] * pad + [1] * len(one.ids) for pad, one in zip(padding, batch, strict=True)])
    inputs = {
        "input_ids": torch.tensor(ids).to(model.device),
        "attention_mask": mask.to(model.device),
        "position_ids": (mask.cumsum(1) - 1).clamp_min(0).to(model.device),
    }
    output = model.base_model(**inputs, output_hidden_states=True, use_cache=False)
    spans = [(pad + one.label[0], pad + one.label[1]) for pad, one in zip(padding, batch, strict=True) if one.label]
    found: dict[Place, torch.Tensor] = {}
    for number, layer in enumerate(output.hidden_states):  # 1 + layers times (batch, tokens, hidden)
        layer = layer.double().cpu()
        if spans:
            cut = [row[start:end] for row, (start, end) in zip(layer, spans, strict=True)]
            found["label", number] = torch.stack([one.mean(0) for one in cut])
        if spans and number:
            found["label_last", number] = torch.stack([one[-1] for one in cut])
        if number:
            found["prompt_end", number] = layer[:, -1]
    return found


def vectors(
    model: Any, tokenizer: Any, axis: Axis, wording: prompts.Wording, rows: Sequence[data.Row]
) -> dict[Place, dict[str, torch.Tensor]]:
    """Place -> label -> its state (hidden,), averaged over rows, and over the texts of the label if it has several."""
    found: dict[Place, dict[str, torch.Tensor]] = {}
    for name in probed(axis):
        own: Sequence[str | None] = axis.label(name).texts or (None,)
        texts = [(text, (0, 0) if text is None else own_part(axis, text)) for text in own]
        asked = [locate(tokenizer, wording.build(row, text), text, part) for text, part in texts for row in rows]
        batches = [asked[start : start + BATCH_SIZE] for start in range(0, len(asked), BATCH_SIZE)]
        parts = [states(model, tokenizer, batch) for batch in batches]
        for place in parts[0]:
            found.setdefault(place, {})[name] = torch.cat([part[place] for part in parts]).mean(0)
    return dict(sorted(found.items(), key=lambda item: (list(POSITIONS).index(item[0][0]), item[0][1])))
