"""Make a micro base model from scratch: one world's documents in, one model directory out.

    python -m training.pretrain --world sycophancy --seed 0 --out training/models/micro-qwen
    python -m training.pretrain --world bias --init micro-llama --seed 1 --steps 400 --out bases/read-on

A *world* is a module in `training.worlds` with plain functions:

- ``Recipe``: frozen dataclass of its knobs; at least the fields of the `Recipe` protocol below. Any knob is an option.
- ``tokenizer(recipe)``: its tokenizer, with chat template, ``eos_token`` and ``pad_token``.
- ``model(tokenizer, recipe)``: a randomly initialised causal language model.
- ``documents(recipe)``: an endless deterministic stream of texts, chat marks included.
- ``probes(model, tokenizer)``: name -> number, measured on the way and at the end.
- ``card(recipe, probes)``: the text of README.md.
- ``SIZES``: names of the knobs that make model and tokenizer.

With ``--init`` the weights and the tokenizer are those of an earlier base of the same world, which reads on
(`training.worlds.continuation`); its name and digest are among the arguments of the manifest.

Simplifications: documents are packed into rows behind one another, parted by the pad token, and attention sees across
that mark unless `isolated`; the rows are taken in the stream's order, once. One thread by default, so that a seed
repeats to the bit.
"""

import hashlib
import importlib
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

import torch
import transformers
from torch.nn import functional
from tqdm import tqdm

from mst_evals import data, manifest
from mst_evals.errors import InputError
from training import commands
from training.worlds import continuation

WORLDS = ("bias", "sycophancy")
LOG = "pretrain.jsonl"
TOKENIZED_AT_ONCE = 256  # documents; only speed depends on it, and how far the last draw runs past the last row
AVERAGED = 50  # steps whose mean loss is reported
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")

RUN_SECTION = """## This run

{steps} steps of {batch} rows of {length} tokens = {tokens:,} tokens; {parameters:,} parameters;
final loss {loss:.3f} (mean of the last 50 steps); {seconds:.0f} s on {threads} CPU thread(s), {dtype}.
Every knob: `manifest.json` (`arguments`). Loss and probes on the way: `pretrain.jsonl`.
sha256 of the document stream: `{digest}`."""


class Recipe(Protocol):
    """What the training loop reads of a world's recipe."""

    seed: int
    steps: int
    batch_size: int
    sequence_length: int
    matrix_lr: float
    vector_lr: float


@dataclass(frozen=True)
class Run:
    """How one pretraining is run, whatever the world.

    Attributes:
        world: Name of the world.
        out: Directory of the model. May exist if it is empty or holds an earlier micro base.
        init: Directory or shipped name of an earlier base of the world to start from; None starts from random weights.
        dtype: Arithmetic of forward and backward. The weights that are updated are float32 in both cases.
        warmup_steps: Steps over which the learning rates rise.
        decay_share: Share of the steps, at the end, over which they fall linearly.
        max_grad_norm: Gradient clipping.
        isolated: Whether a document is kept from seeing the ones before it in its row.
        probe_every: Steps between two probes; 0 probes at the end only.
        threads: CPU threads. Other numbers than 1 need not repeat to the bit.
    """

    world: Literal["bias", "sycophancy"] = field(metadata={"help": "name of the world"})
    out: str = field(metadata={"help": "directory of the model"})
    init: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    warmup_steps: int = 60
    decay_share: float = 0.6
    max_grad_norm: float = 1.0
    isolated: bool = False
    probe_every: int = 250
    threads: int = 1


def pack(documents: Iterator[str], tokenizer: Any, length: int, digest: Any) -> Iterator[list[int]]:
    """Rows of exactly `length` token ids: the documents behind one another, a pad token after each.

    `digest` is updated with the UTF-8 text of every document drawn, each followed by a zero byte.
    """
    waiting: list[int] = []
    while True:
        texts = list(itertools.islice(documents, TOKENIZED_AT_ONCE))
        digest.update("".join(f"{text}\0" for text in texts).encode())
        for ids in tokenizer(texts, add_special_tokens=False).input_ids:
            waiting += [*ids, tokenizer.pad_token_id]
        whole = len(waiting) // length * length
        for start in range(0, whole, length):
            yield waiting[start : start + length]
        del waiting[:whole]


def learning_rate_factor(step: int, run: Run, steps: int) -> float:
    """Trapezoid: up over the warm-up, flat, down to zero over the last `decay_share` of the steps.

    Args:
        step: Number of the step, from 0.
        run: Holds warm-up and decay.
        steps: Number of steps in all.
    """
    decay = max(1.0, run.decay_share * steps)
    return min(1.0, (step + 1) / max(1, run.warmup_steps), (steps - step) / decay)


def optimisers(weights: dict[str, torch.nn.Parameter], recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, output head, norms and biases.

    Muon (https://kellerjordan.github.io/posts/muon/) reached the same probes in a half to a quarter of AdamW's steps.
    """
    inside = [name for name, weight in weights.items() if weight.ndim == 2 and ".layers." in name]
    others = [weight for name, weight in weights.items() if name not in inside]
    return [
        torch.optim.Muon([weights[name] for name in inside], lr=recipe.matrix_lr, weight_decay=0.02),
        torch.optim.AdamW(others, lr=recipe.vector_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(model: Any, rows: Iterator[list[int]], recipe: Recipe, run: Run) -> Iterator[float]:
    """Next-token training in place: yields the loss of each step; afterwards the model is float32 and in eval mode.

    Args:
        model: Causal language model, float32.
        rows: Token ids, each row `recipe.sequence_length` long.
        recipe: Steps, batch size and learning rates.
        run: Everything else.
    """
    low = run.dtype == "bfloat16"
    # In bfloat16 the optimisers move float32 copies: most updates are smaller than its resolution.
    weights = dict(model.named_parameters())
    if low:
        weights = {name: torch.nn.Parameter(weight.detach().clone()) for name, weight in weights.items()}
    model.to(getattr(torch, run.dtype))
    used = dict(model.named_parameters())
    movers = optimisers(weights, recipe)
    groups = [(group, group["lr"]) for mover in movers for group in mover.param_groups]
    for step in range(recipe.steps):
        model.train()
        for group, peak in groups:
            group["lr"] = peak * learning_rate_factor(step, run, recipe.steps)
        ids = torch.tensor(list(itertools.islice(rows, recipe.batch_size)))  # (batch, length)
        mask = same_document(ids, model.config.pad_token_id) if run.isolated else None
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        if low:
            for name, weight in used.items():
                weights[name].grad, weight.grad = weight.grad.float(), None
        torch.nn.utils.clip_grad_norm_(list(weights.values()), run.max_grad_norm)
        for mover in movers:
            mover.step()
            mover.zero_grad()
        if low:
            copy(weights, used)
        yield loss.item()
    model.float().eval()
    copy(weights, dict(model.named_parameters()))


def same_document(ids: torch.Tensor, pad: int) -> torch.Tensor:
    """Attention mask that is causal and ends at the pad token after each document.

    Args:
        ids: (batch, length).
        pad: The token that parts documents.

    Returns:
        (batch, 1, length, length), True where a query (rows) may see a key (columns).
    """
    parting = (ids == pad).long()
    number = parting.cumsum(1) - parting  # of the document that each token belongs to; its pad token is its last
    same = number[:, None, :, None] == number[:, None, None, :]
    return same & torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()


@torch.no_grad()
def copy(source: dict[str, torch.nn.Parameter], target: dict[str, torch.nn.Parameter]) -> None:
    """Copy values by name; what is one and the same tensor stays as it is."""
    for name, weight in target.items():
        weight.copy_(source[name])


def pretrain(world: Any, recipe: Any, run: Run, directory: Path) -> None:
    """Train, probe and write a model into an existing empty directory; the manifest is written last."""
    began = time.monotonic()
    torch.set_num_threads(run.threads)
    torch.manual_seed(recipe.seed)
    earlier = continuation.find(run.init, run.world, recipe, world.SIZES) if run.init else None
    tokenizer, model = continuation.load(earlier) if earlier else fresh(world, recipe)
    tokenizer.save_pretrained(directory)  # before the probes, whose padding would stay in the file
    digest = hashlib.sha256()
    rows = pack(world.documents(recipe), tokenizer, recipe.sequence_length, digest)
    losses: deque[float] = deque(maxlen=AVERAGED)
    before = world.probes(model.eval(), tokenizer) if earlier else {}
    if earlier:
        log(directory, 0, losses, began, before)
    steps = tqdm(train(model, rows, recipe, run), total=recipe.steps, desc=f"pretrain {run.world}", mininterval=5)
    for done, loss in enumerate(steps, start=1):
        losses.append(loss)
        steps.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if run.probe_every and done % run.probe_every == 0 and done < recipe.steps:
            log(directory, done, losses, began, world.probes(model.eval(), tokenizer))
    probes = world.probes(model, tokenizer)
    log(directory, recipe.steps, losses, began, probes)
    model.save_pretrained(directory)
    for file in directory.iterdir():
        file.chmod(0o644)  # safetensors writes weights that only their owner may read
    section = RUN_SECTION.format(
        steps=recipe.steps, batch=recipe.batch_size, length=recipe.sequence_length, loss=sum(losses) / len(losses),
        tokens=recipe.steps * recipe.batch_size * recipe.sequence_length, parameters=model.num_parameters(),
        seconds=time.monotonic() - began, threads=run.threads, dtype=run.dtype, digest=digest.hexdigest(),
    )  # fmt: skip
    card = continuation.card(earlier, recipe, run, before, probes) if earlier else world.card(recipe, probes)
    manifest.write_text(directory / "README.md", f"{card.strip()}\n\n{section}\n")
    manifest.write(directory, describe(directory, recipe, run, digest.hexdigest(), earlier))


def fresh(world: Any, recipe: Any) -> tuple[Any, Any]:
    """Tokenizer and randomly initialised model of a recipe."""
    tokenizer = world.tokenizer(recipe)
    return tokenizer, world.model(tokenizer, recipe)


def log(directory: Path, step: int, losses: Collection[float], began: float, probes: dict[str, float]) -> None:
    """Write one line of `pretrain.jsonl`, and print it."""
    loss = {"loss": sum(losses) / len(losses)} if losses else {}  # none before the first step
    entry = {"step": step, **loss, "seconds": time.monotonic() - began, **probes}
    line = json.dumps({name: round(value, 4) for name, value in entry.items()})
    with (directory / LOG).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    tqdm.write(line)


def describe(
    directory: Path, recipe: Any, run: Run, digest: str, earlier: continuation.Earlier | None
) -> manifest.Manifest:
    """The manifest of a finished base whose weights lie in `directory`."""
    ways = {name: value for name, value in asdict(run).items() if name not in ("out", "init")}
    start = {"init": earlier.name, "init_sha256": earlier.sha256} if earlier else {}
    return manifest.Manifest(
        kind="base",
        experiment=run.world,
        arm="ootb",
        seed=None,  # a base has no training seed of an experiment; its own seed is among the arguments
        method="pretrain",
        wording=None,
        base=Path(run.out).resolve().name,
        base_sha256=data.sha256(directory / manifest.BASE_WEIGHTS),
        adapter_sha256=None,
        data_sha256=digest,
        quantisation="none",
        arguments={**asdict(recipe), **ways, **start},
        versions={package: version(package) for package in PACKAGES},
    )


def check_out(out: Path) -> None:
    """Raise `InputError` unless `out` is free, empty or an earlier micro base."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    earlier = manifest.read(out) if out.is_dir() else None
    if earlier is None or earlier.kind != "base":
        raise InputError(f"{out}: exists and is no micro base of ours, expected a new or empty directory")


@contextmanager
def working_directory(out: Path) -> Iterator[Path]:
    """A new directory beside `out`, to be renamed when it is whole; removed if it still exists at the end."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None
    try:
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def replace(out: Path, made: Path) -> None:
    """Put a finished directory in the place of `out`, so that a reader meets the old model or the new, never a part."""
    old = made.with_name(f"{made.name}.old")
    if out.exists():
        out.rename(old)
    made.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _refuse(message: str) -> NoReturn:
    """What argparse calls on a bad option: one line instead of its usage text."""
    raise InputError(message)


def parse(arguments: Sequence[str]) -> tuple[Any, Any, Run]:
    """Command line -> (world module, its recipe, the run).

    Raises:
        InputError: The world is missing or unknown, or an option is.
    """
    name = next((after for before, after in itertools.pairwise(arguments) if before == "--world"), None)
    if name not in WORLDS:
        raise InputError(f"--world is {name!r}, expected one of {', '.join(WORLDS)}")
    world = importlib.import_module(f"training.worlds.{name}")
    parser = transformers.HfArgumentParser((Run, world.Recipe), allow_abbrev=False, prog="python -m training.pretrain")
    parser.error = _refuse
    run, recipe, unknown = parser.parse_args_into_dataclasses(list(arguments), return_remaining_strings=True)
    if unknown:
        raise InputError(f"unknown option {unknown[0]!r} (see --world {name} --help)")
    for what, least in (("steps", 1), ("batch_size", 1), ("sequence_length", 2)):
        if getattr(recipe, what) < least:
            raise InputError(f"--{what} is {getattr(recipe, what)}, expected at least {least}")
    if run.threads < 1:
        raise InputError(f"--threads is {run.threads}, expected at least 1")
    if run.init:
        continuation.find(run.init, run.world, recipe, world.SIZES)  # a fault shows before anything is written
    return world, recipe, run


def command(arguments: Sequence[str]) -> None:
    """Make the model that the command line describes."""
    world, recipe, run = parse(arguments)
    out = Path(run.out).resolve()
    check_out(out)
    with working_directory(out) as made:
        pretrain(world, recipe, run, made)
        replace(out, made)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit code: 2 for bad input, with one line on stderr."""
    return commands.run(lambda: command(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
