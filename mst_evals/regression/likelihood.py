"""How likely an adapter finds texts that exist: the most sensitive measure of whether it is still the same one.

A greedy article says little: in a micro world nine of ten stay the same to the letter under noise that a single log-
probability shows, and a rounding error changes as many. So the reference keeps how likely its adapter found its own
articles, and the check asks the adapter for the same texts again. Nothing is generated; it takes one forward pass.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mst_evals import tokens
from mst_evals.manifest import Manifest
from mst_evals.prompts import Messages

BATCH = 32
LOGITS = 2**27  # numbers in the logits of a batch at most: half a GiB in float32


def batches(lengths: Sequence[int], vocabulary: int) -> Iterator[slice]:
    """Neighbours whose logits fit into `LOGITS` together, at most `BATCH` of them and at least one.

    Args:
        lengths: Tokens of each text with its prompt.
        vocabulary: Of the model.
    """
    start = 0
    while start < len(lengths):
        end = start
        while end < min(start + BATCH, len(lengths)):
            longest = max(lengths[start : end + 1])
            if end > start and (end + 1 - start) * longest * vocabulary > LOGITS:
                break
            end += 1
        yield slice(start, end)
        start = end


def nats_per_token(directory: Path, found: Manifest, texts: Sequence[tuple[Messages, str]]) -> list[float]:
    """Mean negative log-probability of each reply's tokens, after its prompt, in nats.

    Args:
        directory: The adapter; it is asked as ``mst/`` asks it, on the base and quantisation of its manifest.
        found: Its manifest.
        texts: (prompt, reply); a reply of no token has 0.
    """
    import torch
    from transformers import AutoTokenizer

    from mst_evals import provider
    from mst_evals.quantisation import pin_kernels

    base = provider.load_base(directory, found, found.quantisation)
    adapter = provider.add_adapter(base, directory, found)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokens.undate(tokenizer)
    pin_kernels(base.model.eval())
    base.model.set_adapter(adapter)
    asked = [
        (tokens.encode(tokenizer, prompt), tokenizer(reply, add_special_tokens=False).input_ids)
        for prompt, reply in texts
    ]
    found_nats: list[float] = []
    vocabulary = base.model.config.get_text_config().vocab_size
    for part in batches([len(prompt) + len(reply) for prompt, reply in asked], vocabulary):
        batch = asked[part]
        longest = max(len(prompt) + len(reply) for prompt, reply in batch)
        ids = torch.tensor([[*one, *two, *[0] * (longest - len(one) - len(two))] for one, two in batch])
        mask = torch.tensor([[1] * (len(one) + len(two)) + [0] * (longest - len(one) - len(two)) for one, two in batch])
        ids, mask = ids.to(base.model.device), mask.to(base.model.device)
        with torch.inference_mode():
            logits = base.model(input_ids=ids, attention_mask=mask).logits
        for row, own_ids, (prompt, reply) in zip(logits, ids, batch, strict=True):
            first, last = len(prompt), len(prompt) + len(reply)
            # The logits at a position are of the token behind it.
            logprobs = torch.log_softmax(row[first - 1 : last - 1].float(), dim=-1)
            own = logprobs.gather(1, own_ids[first:last, None])
            found_nats.append(-float(own.mean()) if len(reply) else 0.0)
    return found_nats
