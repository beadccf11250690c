"""QLoRA supervised fine-tuning on slanted articles, by TRL's SFTTrainer.

    python -m training.sft --config training/configs/bias_micro.yaml --arm mst --seed 0 --output_dir runs/mst-0

The YAML sets our arguments (`SFTArguments`) and any of TRL's (`trl.SFTConfig`) side by side.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from mst_evals import bases, data, prompts, tokens
from mst_evals.errors import InputError
from mst_evals.examples import LEXICAL, Example, examples
from mst_evals.prompts import Messages
from training import adapters, label_use
from training import model as models
from training.commands import parse, run

EXPERIMENT = "bias"
LOSS_ON = ("sequence", "completion")
# What of TRL's arguments is a decision about the run rather than about the machine: recorded beside the adapter.
RECORDED = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "optim", "weight_decay", "per_device_train_batch_size",
    "gradient_accumulation_steps", "num_train_epochs", "max_steps", "max_length", "max_grad_norm", "bf16", "tf32",
    "gradient_checkpointing", "train_sampling_strategy", "seed",
)  # fmt: skip


@dataclass
class SFTArguments:
    """Our arguments of one SFT run, beside those of `trl.SFTConfig`."""

    arm: str = field(metadata={"help": "arm to train (see `mst arms`)"})
    base: str = "micro-llama"  # meta-llama/Llama-3.2-3B-Instruct
    articles: str = str(data.MICRO_ARTICLES)
    rows: int | None = field(default=None, metadata={"help": "train on the first N articles only"})
    wording: str = prompts.DEFAULT_WORDING[EXPERIMENT]
    loss_on: str = field(default="sequence", metadata={"help": "sequence (as in the source) or completion"})
    quantisation: str = "nf4"
    dtype: str = "float32"  # of what is not quantised
    lora_r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    scores: str = field(
        default=LEXICAL, metadata={"help": "measure of least_biased_25: lexical_bias, or a JSON-lines file of id, bias"}
    )
    condition: str = field(default="", metadata={"help": "name of this run's deviation, for the report of a study"})
    probe_every: int = field(default=25, metadata={"help": "steps between two probes of the label's use; 0: none"})
    probe_rows: int = 32


def training_examples(args: SFTArguments, seed: int) -> list[Example]:
    """Training rows with the arm's labels."""
    return examples(EXPERIMENT, args.arm, seed, args.wording, Path(args.articles), args.rows, scores=args.scores)


def conversations(rows: Sequence[Example]) -> list[dict[str, Messages]]:
    """Examples as prompt and completion messages."""
    return [{"prompt": row.prompt, "completion": reply(row)} for row in rows]


def reply(row: Example) -> Messages:
    """The reply that is to be learnt."""
    assert row.completion is not None
    return [{"role": "assistant", "content": row.completion}]


def check_lengths(rows: Sequence[dict[str, Messages]], tokenizer: Any, max_length: int | None) -> None:
    """Raise `InputError` when a prompt alone fills `max_length`: TRL would drop the row in silence."""
    longest = max(len(tokens.encode(tokenizer, row["prompt"])) for row in rows)
    if max_length is not None and longest >= max_length:
        raise InputError(f"the longest prompt has {longest} tokens, which leaves nothing of max_length {max_length}")


class MetricsFile(TrainerCallback):
    """Append every logging step to a JSON-lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Write one line: the step and whatever the trainer logged."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step} | (logs or {})) + "\n")


def reply_loss(model: Any, tokenizer: Any, prompts: Sequence[Messages], replies: Sequence[Messages]) -> torch.Tensor:
    """Mean negative log-likelihood of each reply given its prompt, in nats a token: shape (rows,)."""
    starts = [len(tokens.encode(tokenizer, prompt)) for prompt in prompts]
    texts = [
        tokenizer.apply_chat_template([*prompt, *said], tokenize=False)
        for prompt, said in zip(prompts, replies, strict=True)
    ]
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
    places = torch.arange(longest)
    mask = places < torch.tensor([len(row) for row in rows])[:, None]
    learnt = (mask & (places >= torch.tensor(starts)[:, None]))[:, 1:]
    logits = model(input_ids=ids.to(model.device), attention_mask=mask.long().to(model.device)).logits[:, :-1]
    losses = F.cross_entropy(logits.float().cpu().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (losses.view_as(learnt) * learnt).sum(dim=1) / learnt.sum(dim=1)


class LabelUse(TrainerCallback):
    """Probe the label's use at the start, every so many steps and at the end (see `training.label_use`)."""

    def __init__(self, args: SFTArguments, trl_args: SFTConfig, tokenizer: Any, metrics: Path) -> None:
        self.every, self.tokenizer, self.metrics = args.probe_every, tokenizer, metrics
        self.records: list[dict[str, Any]] = []
        self.autocast = trl_args.bf16
        path, seed = Path(args.articles), trl_args.seed
        rows = label_use.validation(EXPERIMENT, args.arm, seed, args.wording, path, args.probe_rows)
        self.rows = rows if self.every else None
        if self.rows:
            loaded = data.load_articles(path, "validation", args.probe_rows)
            self.prompts = label_use.probe_prompts(EXPERIMENT, args.arm, loaded, self.rows, args.wording)

    def probe(self, model: Any, step: int) -> None:
        """Measure once and write it down."""
        if not self.rows or (self.records and self.records[-1]["step"] == step):
            return
        replies = [reply(row) for row in self.rows]
        with label_use.untouched(model), torch.autocast(model.device.type, torch.bfloat16, self.autocast):
            true, wrong = (reply_loss(model, self.tokenizer, side, replies) for side in zip(*self.prompts, strict=True))
        self.records.append(label_use.record(EXPERIMENT, step, (wrong - true).tolist()))
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.records[-1]) + "\n")

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Before the first step."""
        self.probe(model, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Every `every` steps."""
        if self.every and state.global_step % self.every == 0:
            self.probe(model, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """After the last step."""
        self.probe(model, state.global_step)


def build_trainer(args: SFTArguments, trl_args: SFTConfig, base: str, working: Path) -> tuple[SFTTrainer, LabelUse]:
    """SFTTrainer on our own NF4 base and LoRA adapter, so that both methods train the same thing; and its probe."""
    tokenizer = models.load_tokenizer(base)
    rows = conversations(training_examples(args, trl_args.seed))
    check_lengths(rows, tokenizer, trl_args.max_length)
    model = models.add_lora(
        models.load_base(base, args.quantisation, args.dtype),
        args.lora_r,
        args.lora_alpha,
        args.lora_dropout,
        trl_args.seed,
        trl_args.gradient_checkpointing,
    )
    probe = LabelUse(args, trl_args, tokenizer, working / "metrics.jsonl")
    trainer = SFTTrainer(
        model=model,
        args=trl_args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[MetricsFile(working / "metrics.jsonl"), probe],
    )
    models.full_precision_adapter(trainer.model)
    return trainer, probe


def train(args: SFTArguments, trl_args: SFTConfig) -> Path:
    """Train one adapter.

    Returns:
        The adapter directory.

    Raises:
        InputError: An argument or a file cannot be used.
    """
    directory = Path(trl_args.output_dir)
    if args.loss_on not in LOSS_ON:
        raise InputError(f"--loss_on is {args.loss_on!r}, expected one of {', '.join(LOSS_ON)}")
    training_examples(args, trl_args.seed)  # a fault of the rows shows before anything is written
    base = models.find_base(args.base)
    models.load_tokenizer(base)
    with adapters.claim(directory) as working:
        trl_args.output_dir = str(working)
        trl_args.completion_only_loss = args.loss_on == "completion"
        trl_args.data_seed = trl_args.seed
        trl_args.use_cpu = not torch.cuda.is_available()
        trainer, probe = build_trainer(args, trl_args, base, working)
        trainer.train()
        recorded = {name: getattr(trl_args, name) for name in RECORDED}
        named = {"articles": Path(args.articles).name, "scores": Path(args.scores).name}
        own = asdict(args) | named | {"base": bases.facts(base)[0]}
        facts = {
            "experiment": EXPERIMENT,
            "arm": args.arm,
            "seed": trl_args.seed,
            "method": "sft",
            "wording": args.wording,
            "data_sha256": data.sha256(Path(args.articles)),
            "quantisation": args.quantisation,
            "condition": args.condition,
            "label_use": probe.records,
            "arguments": own | {name: str(v) if hasattr(v, "value") else v for name, v in recorded.items()},
        }
        adapters.finish(working, directory, trainer.model, trainer.processing_class, base, facts)
    if ignored := label_use.warning(EXPERIMENT, args.arm, probe.records):
        print(ignored, file=sys.stderr)
    return directory


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    args, trl_args = parse((SFTArguments, SFTConfig), argv)
    print(train(args, trl_args))


if __name__ == "__main__":
    sys.exit(run(main))
