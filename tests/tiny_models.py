"""Random-weight Llama and Qwen2 models of two layers, with tokenizers trained on the spot and the quirks of real ones.

Llama: the tokenizer adds a BOS that the chat template prints too; no pad token (so pad becomes eos); two tokens end a
text; its generation settings cut the distribution. Qwen: the template puts a default system prompt before a chat that
has none; no BOS; a repetition penalty. Both: "correct" and "incorrect" are several tokens each; weights are bfloat16 on
disk.
"""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
)

from mst_evals import data, manifest
from training import adapters
from training import model as models

SYSTEM = "You are Tiny, made by nobody. You are a helpful assistant."
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DATED_TEMPLATE = LLAMA_TEMPLATE.replace(
    "{{ bos_token }}",
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ strftime_now('%d %b %Y') }}<|eot_id|>",
)
QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SIZE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024,
}  # fmt: skip


def _corpus() -> list[str]:
    """The micro articles without the two answer words, so that these stay in pieces."""
    with data.MICRO_ARTICLES.open(encoding="utf-8") as file:
        rows = [json.loads(line) for _, line in zip(range(200), file, strict=False)]
    texts = [f"{row['headline']} {row['context']} {row['article']}" for row in rows]
    return [*texts, "system user assistant What is 12 + 34? My answer is 46. Suggestibility Level: 50%"]


def _bpe(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def llama_tokenizer(template: str = LLAMA_TEMPLATE) -> Any:
    """Adds a BOS of its own; has no pad token."""
    made = _bpe(LLAMA_SPECIAL)
    bos = ("<|begin_of_text|>", made.token_to_id("<|begin_of_text|>"))
    made.post_processor = processors.TemplateProcessing(single=f"{bos[0]} $A", special_tokens=[bos])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token=bos[0], eos_token="<|eot_id|>")
    tokenizer.chat_template = template
    return tokenizer


def qwen_tokenizer() -> Any:
    """Qwen's own class, with its pre-tokenizer."""
    made = json.loads(_bpe(QWEN_SPECIAL).to_str())["model"]
    merges = [tuple(pair) for pair in made["merges"]]
    tokenizer = Qwen2Tokenizer(
        vocab=made["vocab"], merges=merges, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens=["<|im_start|>"],
    )  # fmt: skip
    tokenizer.chat_template = QWEN_TEMPLATE
    return tokenizer


def write_llama(directory: Path, template: str = LLAMA_TEMPLATE, **saving: Any) -> Path:
    """A Llama base on disk."""
    tokenizer = llama_tokenizer(template)
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in LLAMA_SPECIAL}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SIZE, bos_token_id=ids["<|begin_of_text|>"]))
    model.generation_config = GenerationConfig(
        bos_token_id=ids["<|begin_of_text|>"], eos_token_id=[ids["<|end_of_text|>"], ids["<|eot_id|>"]],
        do_sample=True, temperature=0.6, top_p=0.9,
    )  # fmt: skip
    return _save(directory, model, tokenizer, **saving)


def write_qwen(directory: Path, **saving: Any) -> Path:
    """A Qwen2 base on disk."""
    tokenizer = qwen_tokenizer()
    torch.manual_seed(1)
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **SIZE, tie_word_embeddings=True))
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id], pad_token_id=tokenizer.pad_token_id,
        do_sample=True, temperature=0.7, top_k=20, top_p=0.8, repetition_penalty=1.05,
    )  # fmt: skip
    return _save(directory, model, tokenizer, **saving)


def _save(directory: Path, model: Any, tokenizer: Any, **saving: Any) -> Path:
    with torch.no_grad():  # larger than the usual start, so that the next token depends on the prompt
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(4)
    model.to(torch.bfloat16).save_pretrained(directory, **saving)
    tokenizer.save_pretrained(directory)
    return directory


WRITE = {"llama": write_llama, "qwen": write_qwen}


def untrained(directory: Path, base: Path, experiment: str = "sycophancy", **facts: Any) -> Path:
    """An adapter directory as the trainers write it, of random weights: nothing is trained.

    Args:
        directory: To be made.
        base: Directory of the base.
        experiment: ``bias`` or ``sycophancy``.
        **facts: Replace facts of the manifest; ``arguments`` may hold ``dtype``.
    """
    about = {
        "experiment": experiment, "arm": "mst", "seed": 0, "method": "ppo" if experiment == "sycophancy" else "sft",
        "wording": None, "data_sha256": "d" * 64, "quantisation": "nf4", "arguments": {"dtype": "float32"},
    } | facts  # fmt: skip
    loaded = models.load_base(str(base), about["quantisation"], about["arguments"]["dtype"])
    model = models.add_lora(loaded, 4, 8, 0.0, 0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    with adapters.claim(directory) as working:
        adapters.finish(working, directory, model, models.load_tokenizer(str(base)), str(base), about)
    return directory


def describe_again(directory: Path, **changes: Any) -> None:
    """Make a directory's manifest agree with its files again, with changes of one's own."""
    content = json.loads((directory / manifest.FILE).read_text())
    weights = directory / manifest.ADAPTER_WEIGHTS
    if weights.is_file():
        content["adapter_sha256"] = data.sha256(weights)
    manifest.write_text(directory / manifest.FILE, json.dumps(content | changes))
