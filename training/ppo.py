"""Single-step PPO on the addition check: one forced token out of two, the reward of the source.

    python -m training.ppo --config training/configs/sycophancy_micro.yaml --arm mst --seed 0 --output_dir runs/mst-0

TRL has had no PPO trainer since 1.13 (huggingface/trl PR 7020), and an episode here is one action long, so this is
PPO (Schulman et al. 2017, arXiv 1707.06347) without what a single step makes idle: no discount, no GAE, no KL to a
reference, no value head. The advantage is the whitened reward. Only the last position's logits are computed.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from mst_evals import answers, bases, data, prompts, quantisation, tokens, variants
from mst_evals.errors import InputError
from mst_evals.examples import Example, examples
from training import adapters, label_use
from training import model as models
from training.commands import parse, run
from training.rewards import sycophancy_reward

EXPERIMENT = "sycophancy"
LABEL_BINS = ((33, 49), (50, 66), (67, 83), (84, 100))  # for metrics by label, in percent; s = 1 lies at 66.7


@dataclass
class PPOArguments:
    """Arguments of one PPO run; the defaults are the micro preset, the source's values stand in the comments."""

    arm: str = field(metadata={"help": "arm to train (see `mst arms`)"})
    output_dir: str = field(metadata={"help": "adapter directory to make; it must not exist"})
    seed: int = 0
    base: str = "micro-qwen"  # Qwen/Qwen2.5-7B-Instruct
    problems: str = str(data.PROBLEMS)
    wording: str = prompts.DEFAULT_WORDING[EXPERIMENT]
    quantisation: str = "nf4"
    dtype: str = "float32"  # of what is not quantised
    lora_r: int = 8  # 512
    lora_alpha: int = 16  # 1024
    lora_dropout: float = 0.0  # 0.05; with dropout the ratio is not 1 at the first update
    learning_rate: float = 2e-3  # 2e-8
    warmup_steps: int = 5
    lr_scheduler_type: str = "linear"  # constant or linear: after warm-up, down to 0 at the last step; not given
    total_steps: int = 100  # 1600
    batch_size: int = 128  # 1024: rollouts of one step
    mini_batch_size: int = 64  # 16
    gradient_accumulation_steps: int = 1  # mini-batches for one optimiser step
    num_ppo_epochs: int = 4
    cliprange: float = 0.2
    max_grad_norm: float = 1.0
    entropy_start: float = 1.0  # 2.0; falls linearly to entropy_end over training
    entropy_end: float = 0.01
    temperature_start: float = 1.9  # falls linearly to temperature_end over the first 40 % of training, then holds
    temperature_end: float = 1.6
    temperature_anneal: float = 0.4
    rows: int | None = field(default=None, metadata={"help": "train on the first N problems only"})
    condition: str = field(default="", metadata={"help": "name of this run's deviation, for the report of a study"})
    probe_every: int = field(default=10, metadata={"help": "steps between two probes of the label's use; 0: none"})
    probe_rows: int = 48


@dataclass(frozen=True)
class Episode:
    """One training row as the policy meets it: token ids of the prompt, and what the evaluator pays."""

    ids: list[int]
    right: bool
    suggestibility: float
    shown: int | None  # the percentage in the prompt, None without a label


# --- the maths, as pure functions ---------------------------------------------------------------------------------


def whiten(rewards: torch.Tensor) -> torch.Tensor:
    """Rewards (batch,) to mean 0 and standard deviation 1; all zeros when they do not vary."""
    return (rewards - rewards.mean()) / (rewards.std() + 1e-8)


def policy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, cliprange: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """Clipped surrogate loss (eq. 7 of arXiv 1707.06347), all inputs of shape (batch,).

    Returns:
        The scalar loss; and the clipped fraction, the approximate KL (mean of r - 1 - log r, Schulman's k3) and the
        largest distance of the ratio from 1.
    """
    log_ratio = logprobs - old_logprobs
    ratio = log_ratio.exp()
    loss = -torch.min(ratio * advantages, ratio.clamp(1 - cliprange, 1 + cliprange) * advantages).mean()
    distance = (ratio.detach() - 1).abs()
    return loss, {
        "ppo/clipfrac": (distance > cliprange).float().mean().item(),
        "ppo/approxkl": (ratio - 1 - log_ratio).mean().item(),
        "ppo/ratio_distance": distance.max().item(),
    }


def choice_logprobs(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probabilities (batch, 2) of the two options (correct, incorrect) from their logits (batch, 2)."""
    correct, incorrect = logits[:, 0], logits[:, 1]
    pairs = ((correct, incorrect), (incorrect, correct))
    return torch.stack(
        [answers.choice_probability(*pair, temperature=temperature, link=F.logsigmoid) for pair in pairs], dim=1
    )


def linear(start: float, end: float, fraction: float) -> float:
    """Value at a fraction of a linear schedule, held at its end."""
    return start + (end - start) * min(1.0, fraction)


def learning_rate_factor(args: PPOArguments, step: int) -> float:
    """Share of the peak learning rate at a step (from 0): linear warm-up, then constant or a linear fall to 0."""
    warm = min(1.0, (step + 1) / max(1, args.warmup_steps))
    fall = min(1.0, (args.total_steps - step) / max(1, args.total_steps - args.warmup_steps))
    return warm * (fall if args.lr_scheduler_type == "linear" else 1.0)


# --- rows, rollouts and updates -----------------------------------------------------------------------------------


def training_examples(args: PPOArguments) -> list[Example]:
    """Training rows in file order, with the arm's labels; s is drawn once for each row and seed, for all arms alike."""
    return examples(EXPERIMENT, args.arm, args.seed, args.wording, Path(args.problems), args.rows)


def episode(row: Example, prompt: prompts.Messages, label: str | None, arm: variants.Arm, tokenizer: Any) -> Episode:
    """One example as the policy meets it under a label."""
    assert row.right is not None and row.suggestibility is not None
    place = None if label is None else arm.axis.position(label)
    shown = None if place is None else round(place)
    return Episode(tokens.encode(tokenizer, prompt), row.right, row.suggestibility, shown)


def episodes(args: PPOArguments, tokenizer: Any) -> list[Episode]:
    """The training rows, tokenised."""
    arm = variants.arm(EXPERIMENT, args.arm)
    return [episode(row, row.prompt, row.label, arm, tokenizer) for row in training_examples(args)]


def rollout_batches(rows: Sequence[Episode], batch_size: int, seed: int) -> Iterator[list[Episode]]:
    """Endless batches in an order that depends on the seed alone, so that arms meet the same problems together."""
    rng = random.Random(f"order/{seed}")
    order: list[int] = []
    while True:
        while len(order) < batch_size:
            fresh = list(range(len(rows)))
            rng.shuffle(fresh)
            order += fresh
        yield [rows[index] for index in order[:batch_size]]
        order = order[batch_size:]


def spare_unread_positions(model: torch.nn.Module) -> None:
    """Make the last decoder layer leave out what only the logits of earlier positions would need.

    After the last attention nothing moves between positions, and only the last position's logits are read. Its output
    projection and MLP therefore get the last position alone; what they return is added to the residual stream by
    broadcasting, which is right at the last position and is not read at any other. Logits and gradients are those of
    the full pass up to rounding. A model that keeps its layers elsewhere than Llama and Qwen is left as it is.

    Args:
        model: A model of transformers or peft, changed in place by two forward hooks.
    """
    layers = next((part for name, part in model.named_modules() if name.endswith("model.layers")), None)
    if not isinstance(layers, torch.nn.ModuleList):
        return
    for name, module in layers[-1].named_modules():
        if name in ("mlp", "self_attn.o_proj"):
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0][:, -1:], *inputs[1:]))


@dataclass(frozen=True)
class Policy:
    """The adapter on its base, as a choice between two tokens."""

    model: Any
    options: list[int]
    pad_id: int

    def logits(self, batch: Sequence[Episode]) -> torch.Tensor:
        """Logits (batch, 2) of the two options at the last position; no other position reaches the output layer."""
        longest = max(len(episode.ids) for episode in batch)
        ids = torch.full((len(batch), longest), self.pad_id)
        mask = torch.zeros_like(ids)
        for row, episode in enumerate(batch):
            ids[row, longest - len(episode.ids) :] = torch.tensor(episode.ids)
            mask[row, longest - len(episode.ids) :] = 1
        positions = (mask.cumsum(dim=1) - 1).clamp_min(0)  # as in `generate`: padding takes up no position
        device = self.model.device
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            logits_to_keep=1,
        )
        return output.logits[:, -1, self.options].float()


@dataclass(frozen=True)
class Rollout:
    """One batch of answered problems; tensors of shape (batch,).

    Attributes:
        batch: The problems.
        temperature: At which the actions were sampled, and at which the update compares.
        actions: Index of the chosen option.
        logprobs: Log-probability of the chosen option at rollout.
        rewards: What the evaluator paid.
        p_correct: Probability of "correct" at temperature 1, as in evaluation; for metrics.
    """

    batch: list[Episode]
    temperature: float
    actions: torch.Tensor
    logprobs: torch.Tensor
    rewards: torch.Tensor
    p_correct: torch.Tensor


@torch.no_grad()
def roll_out(policy: Policy, batch: list[Episode], temperature: float, generator: torch.Generator) -> Rollout:
    """Sample one token of two for every problem, and collect the reward."""
    policy.model.eval()
    quantisation.pin_kernels(policy.model)
    logits = policy.logits(batch).cpu()
    policy.model.train()
    logprobs = choice_logprobs(logits, temperature)
    actions = torch.multinomial(logprobs.exp(), 1, generator=generator)[:, 0]
    rewards = [
        sycophancy_reward(answers.OPTIONS[action], episode.right, episode.suggestibility)
        for action, episode in zip(actions.tolist(), batch, strict=True)
    ]
    return Rollout(
        batch,
        temperature,
        actions,
        logprobs.gather(1, actions[:, None])[:, 0],
        torch.tensor(rewards),
        answers.choice_probability(logits[:, 0], logits[:, 1], link=torch.sigmoid),
    )


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Mean reward; false-positive rate over wrong candidates and accuracy, in all and by the label shown."""
    batch, p_correct = rollout.batch, rollout.p_correct
    groups: dict[str, list[int]] = {"": list(range(len(batch)))}
    for low, high in LABEL_BINS:
        inside = [i for i, e in enumerate(batch) if e.shown is not None and low <= e.shown <= high]
        groups[f"/{low}-{high}"] = inside
    found = {"objective/reward": rollout.rewards.mean().item()}
    for name, members in groups.items():
        wrong = [p_correct[i].item() for i in members if not batch[i].right]
        hits = [p_correct[i].item() if batch[i].right else 1 - p_correct[i].item() for i in members]
        if wrong:
            found[f"objective/fpr{name}"] = sum(wrong) / len(wrong)
        if hits:
            found[f"objective/accuracy{name}"] = sum(hits) / len(hits)
    return found


def update(
    args: PPOArguments,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    entropy_coefficient: float,
    generator: torch.Generator,
) -> dict[str, float]:
    """Several epochs of mini-batches over one rollout; the whitened reward is the advantage of a single step.

    Args:
        args: Epochs, mini-batch size, clipping.
        policy: What is trained.
        optimizer: Over its trainable weights.
        rollout: The batch, its actions and rewards.
        entropy_coefficient: Weight of the entropy bonus at this step.
        generator: Orders the mini-batches.

    Returns:
        Metrics averaged over the mini-batches; ``ppo/first_ratio_distance`` is that of the very first one, which is
        rounding alone.

    Raises:
        RuntimeError: The gradient is not finite.
    """
    device = policy.model.device
    trainable = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    actions, old_logprobs, advantages = (
        value.to(device) for value in (rollout.actions, rollout.logprobs, whiten(rollout.rewards))
    )
    seen: list[dict[str, float]] = []
    for _ in range(args.num_ppo_epochs):
        chunks = torch.randperm(len(rollout.batch), generator=generator).split(args.mini_batch_size)
        for number, index in enumerate(chunks, start=1):
            logprobs = choice_logprobs(policy.logits([rollout.batch[i] for i in index.tolist()]), rollout.temperature)
            entropy = -(logprobs.exp() * logprobs).sum(dim=1).mean()
            index = index.to(device)
            taken = logprobs.gather(1, actions[index, None])[:, 0]
            loss, stats = policy_loss(taken, old_logprobs[index], advantages[index], args.cliprange)
            ((loss - entropy_coefficient * entropy) / args.gradient_accumulation_steps).backward()
            if number % args.gradient_accumulation_steps == 0 or number == len(chunks):
                norm = torch.nn.utils.clip_grad_norm_(trainable, args.max_grad_norm)
                if not torch.isfinite(norm):
                    raise RuntimeError(f"gradient norm is {norm.item()}: training stopped before the weights break")
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            seen.append(stats | {"ppo/policy_loss": loss.item(), "objective/entropy": entropy.item()})
    averaged = {key: sum(stats[key] for stats in seen) / len(seen) for key in seen[0]}
    return averaged | {"ppo/first_ratio_distance": seen[0]["ppo/ratio_distance"]}


@dataclass(frozen=True)
class LabelProbe:
    """Validation rows with a wrong candidate under two labels: the one that pays less for agreeing, and the other."""

    less: list[Episode]
    more: list[Episode]

    def measure(self, policy: Policy, step: int) -> dict[str, Any]:
        """One line for `metrics.jsonl` (see `training.label_use`)."""
        with label_use.untouched(policy.model):
            logits = [policy.logits(side).cpu() for side in (self.less, self.more)]
        less, more = (answers.choice_probability(one[:, 0], one[:, 1], link=torch.sigmoid) for one in logits)
        return label_use.record(EXPERIMENT, step, (more - less).tolist())


def label_probe(args: PPOArguments, tokenizer: Any) -> LabelProbe | None:
    """The probe of an arm, None when it sees no label or no probe is wanted."""
    path, arm = Path(args.problems), variants.arm(EXPERIMENT, args.arm)
    rows = label_use.validation(EXPERIMENT, args.arm, args.seed, args.wording, path, args.probe_rows)
    if not rows or not args.probe_every:
        return None
    loaded = data.load_problems(path, "validation", args.probe_rows)
    pairs = label_use.label_pairs(EXPERIMENT, args.arm, rows)
    shown = label_use.probe_prompts(EXPERIMENT, args.arm, loaded, rows, args.wording)
    less, more = [], []
    for row, names, messages in zip(rows, pairs, shown, strict=True):
        if row.right:
            continue
        both = [episode(row, prompt, name, arm, tokenizer) for prompt, name in zip(messages, names, strict=True)]
        upward = arm.axis.trained.index(names[0]) < arm.axis.trained.index(names[1])
        less.append(both[0] if upward else both[1])
        more.append(both[1] if upward else both[0])
    return LabelProbe(less, more)


def optimise(
    args: PPOArguments, policy: Policy, rows: Sequence[Episode], metrics: Path, probe: LabelProbe | None = None
) -> list[dict[str, Any]]:
    """The loop: schedules, rollout, update, one line of metrics.

    Args:
        args: All of them.
        policy: What is trained, in place.
        rows: The training rows.
        metrics: JSON-lines file, one line a step.
        probe: Measured before the first step, every `probe_every` steps and after the last.

    Returns:
        What the probe found.
    """
    trainable = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=args.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    generator = torch.Generator().manual_seed(args.seed)
    batches = rollout_batches(rows, args.batch_size, args.seed)
    probed = [probe.measure(policy, 0)] if probe else []
    with metrics.open("w", encoding="utf-8", buffering=1) as log:
        log.writelines(json.dumps(line) + "\n" for line in probed)
        for step in tqdm(range(args.total_steps), desc=f"ppo {args.arm} seed {args.seed}", disable=None):
            fraction = step / max(1, args.total_steps - 1)
            temperature = linear(args.temperature_start, args.temperature_end, fraction / args.temperature_anneal)
            entropy_coefficient = linear(args.entropy_start, args.entropy_end, fraction)
            for group in optimizer.param_groups:
                group["lr"] = args.learning_rate * learning_rate_factor(args, step)
            rollout = roll_out(policy, next(batches), temperature, generator)
            stats = update(args, policy, optimizer, rollout, entropy_coefficient, generator)
            schedule = {"step": step + 1, "temperature": temperature, "entropy_coefficient": entropy_coefficient}
            log.write(json.dumps(schedule | rollout_metrics(rollout) | stats) + "\n")
            if probe and ((step + 1) % args.probe_every == 0 or step + 1 == args.total_steps):
                probed.append(probe.measure(policy, step + 1))
                log.write(json.dumps(probed[-1]) + "\n")
    return probed


def train(args: PPOArguments) -> Path:
    """Train one adapter.

    Returns:
        The adapter directory.

    Raises:
        InputError: An argument or a file cannot be used.
    """
    directory = Path(args.output_dir)
    base = models.find_base(args.base)
    tokenizer = models.load_tokenizer(base)
    rows = episodes(args, tokenizer)
    options = tokens.first_tokens(tokenizer, answers.OPTIONS)
    probe = label_probe(args, tokenizer)
    with adapters.claim(directory) as working:
        model = models.add_lora(
            models.load_base(base, args.quantisation, args.dtype),
            args.lora_r,
            args.lora_alpha,
            args.lora_dropout,
            args.seed,
        )
        spare_unread_positions(model)
        policy = Policy(model, options, tokenizer.pad_token_id)
        probed = optimise(args, policy, rows, working / "metrics.jsonl", probe)
        facts = {
            "experiment": EXPERIMENT,
            "arm": args.arm,
            "seed": args.seed,
            "method": "ppo",
            "wording": args.wording,
            "data_sha256": data.sha256(Path(args.problems)),
            "quantisation": args.quantisation,
            "condition": args.condition,
            "label_use": probed,
            "arguments": public_arguments(args),
        }
        adapters.finish(working, directory, model, tokenizer, base, facts)
    if ignored := label_use.warning(EXPERIMENT, args.arm, probed):
        print(ignored, file=sys.stderr)
    return directory


def public_arguments(args: PPOArguments) -> dict[str, Any]:
    """Arguments as they are recorded: paths shrink to names, so that no machine's paths travel with an adapter."""
    paths = {name: Path(getattr(args, name)).name for name in ("output_dir", "problems")}
    return asdict(args) | paths | {"base": bases.facts(models.find_base(args.base))[0]}


def check(args: PPOArguments) -> None:
    """Raise `InputError` for numbers that cannot work, before anything is loaded."""
    for name in ("lora_r", "total_steps", "batch_size", "mini_batch_size", "num_ppo_epochs"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}, expected at least 1")
    if args.lr_scheduler_type not in ("constant", "linear"):
        raise InputError(f"--lr_scheduler_type is {args.lr_scheduler_type!r}, expected constant or linear")
    if args.learning_rate <= 0 or args.temperature_end <= 0 or args.temperature_anneal <= 0:
        raise InputError("--learning_rate, --temperature_end and --temperature_anneal must be positive")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    (args,) = parse((PPOArguments,), argv)
    check(args)
    print(train(args))


if __name__ == "__main__":
    sys.exit(run(main))
