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
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from mst_evals import data, prompts, variants
from mst_evals.errors import InputError
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

    arm: str = field(metadata={"help": "arm to train: baseline, mst or shuffled"})
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


def conversations(args: SFTArguments, seed: int) -> list[dict[str, prompts.Messages]]:
    """Training rows as prompt and completion messages, with the arm's labels."""
    arm = variants.arm(EXPERIMENT, args.arm)
    wording = prompts.wording(EXPERIMENT, args.wording)
    rows = data.load_articles(Path(args.articles), "train", args.rows)
    given = arm.training_labels([row["profile"] for row in rows], seed)
    texts = [None if name is None else arm.axis.label(name).texts[0] for name in given]
    return [
        {
            "prompt": wording.build(row, text),
            "completion": [{"role": "assistant", "content": row["article"]}],
        }
        for row, text in zip(rows, texts, strict=True)
    ]


def check_lengths(rows: Sequence[dict[str, prompts.Messages]], tokenizer: Any, max_length: int | None) -> None:
    """Raise `InputError` when a prompt alone fills `max_length`: TRL would drop the row in silence."""
    longest = max(len(prompts.encode(tokenizer, row["prompt"])) for row in rows)
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


def build_trainer(args: SFTArguments, trl_args: SFTConfig, base: str, working: Path) -> SFTTrainer:
    """SFTTrainer on our own NF4 base and LoRA adapter, so that both methods train the same thing."""
    tokenizer = models.load_tokenizer(base)
    rows = conversations(args, trl_args.seed)
    check_lengths(rows, tokenizer, trl_args.max_length)
    model = models.add_lora(
        models.load_base(base, args.quantisation, args.dtype),
        args.lora_r,
        args.lora_alpha,
        args.lora_dropout,
        trl_args.seed,
        trl_args.gradient_checkpointing,
    )
    trainer = SFTTrainer(
        model=model,
        args=trl_args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[MetricsFile(working / "metrics.jsonl")],
    )
    models.full_precision_adapter(trainer.model)
    return trainer


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
    conversations(args, trl_args.seed)  # a fault of the rows shows before anything is written
    base = models.find_base(args.base)
    models.load_tokenizer(base)
    with models.claim(directory) as working:
        trl_args.output_dir = str(working)
        trl_args.completion_only_loss = args.loss_on == "completion"
        trl_args.data_seed = trl_args.seed
        trl_args.use_cpu = not torch.cuda.is_available()
        trainer = build_trainer(args, trl_args, base, working)
        trainer.train()
        recorded = {name: getattr(trl_args, name) for name in RECORDED}
        own = asdict(args) | {"articles": Path(args.articles).name, "base": models.base_facts(base)[0]}
        facts = {
            "experiment": EXPERIMENT,
            "arm": args.arm,
            "seed": trl_args.seed,
            "method": "sft",
            "wording": args.wording,
            "data_sha256": data.sha256(Path(args.articles)),
            "quantisation": args.quantisation,
            "arguments": own | {name: str(v) if hasattr(v, "value") else v for name, v in recorded.items()},
        }
        models.finish(working, directory, trainer.model, trainer.processing_class, base, facts)
    return directory


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    args, trl_args = parse((SFTArguments, SFTConfig), argv)
    print(train(args, trl_args))


if __name__ == "__main__":
    sys.exit(run(main))
