"""How likely an adapter finds texts that exist: the most sensitive measure of whether it is still the same one.

A greedy article says little: in a micro world nine of ten stay the same to the letter under noise that a single log-
probability shows, and a rounding error changes as many. So the reference keeps how likely its adapter found its own
articles, and the check asks the adapter for the same texts again. Nothing is generated; it takes one forward pass.
"""

from collections.abc import Sequence
from pathlib import Path

from mst_evals import tokens
from mst_evals.manifest import Manifest
from mst_evals.prompts import Messages

BATCH = 32


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
    pin_kernels(base.model.eval())
    base.model.set_adapter(adapter)
    asked = [
        (tokens.encode(tokenizer, prompt), tokenizer(reply, add_special_tokens=False).input_ids)
        for prompt, reply in texts
    ]
    found_nats: list[float] = []
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        longest = max(len(prompt) + len(reply) for prompt, reply in batch)
        ids = torch.tensor([[*one, *two, *[0] * (longest - len(one) - len(two))] for one, two in batch])
        mask = torch.tensor([[1] * (len(one) + len(two)) + [0] * (longest - len(one) - len(two)) for one, two in batch])
        ids, mask = ids.to(base.model.device), mask.to(base.model.device)
        with torch.inference_mode():
            logits = base.model(input_ids=ids, attention_mask=mask).logits.float()
        # The logits at a position are of the token behind it.
        logprobs = torch.log_softmax(logits[:, :-1], dim=-1).gather(2, ids[:, 1:, None])[..., 0]
        for row, (prompt, reply) in zip(logprobs, batch, strict=True):
            own = row[len(prompt) - 1 : len(prompt) + len(reply) - 1]
            found_nats.append(-float(own.mean()) if len(reply) else 0.0)
    return found_nats
