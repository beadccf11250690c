"""Model provider ``mst/<directory>``: an adapter of ours on the base it was trained on, batched and exact.

What it does beyond Inspect's ``hf`` provider, each a thing that the latter was measured not to do: the base is found
by the manifest's digest and quantised as in training; several adapters share one loaded base; prompts get the token
ids of training; the batch starts when the model is free instead of after two idle seconds; ``--temperature 0`` is
greedy; samples depend on seed and prompt alone, not on who shares the batch; and a forced choice returns exactly two
log-probabilities.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import torch
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)
from inspect_ai.model._model_info import MODEL_INFO_LOOKUP_API_KEY
from inspect_ai.tool import ToolChoice, ToolInfo
from peft import PeftModel, prepare_model_for_kbit_training
from rich.markup import escape
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from mst_evals import bases, decoding, manifest, tokens
from mst_evals.errors import InputError
from mst_evals.quantisation import config as quantisation_config
from mst_evals.quantisation import pin_kernels
from mst_evals.weights import whole

BATCH_SIZE = 64
CHOICES = "choices"  # key of GenerateConfig.extra_body: the options of a forced choice


@dataclass
class Base:
    """One loaded base, and the adapters put on it so far."""

    model: Any
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    adapters: set[str] = field(default_factory=set)


@dataclass
class Request:
    """One prompt waiting for a batch. Requests of one `key` may share a batch."""

    ids: list[int]
    config: GenerateConfig
    noise: int
    output: ModelOutput | None = None

    @property
    def key(self) -> str:
        """Everything that the settings of a batch depend on."""
        config = self.config
        return repr((config.max_tokens, config.temperature, config.top_p, config.top_k, config.extra_body))


class GumbelNoise(LogitsProcessor):
    """Turns greedy decoding into sampling by the Gumbel-max trick, with a generator for each row.

    argmax(logits + Gumbel noise) is a sample from softmax(logits); drawing the noise of each row from a generator of
    its own makes a sample independent of the rows beside it.
    """

    def __init__(self, seeds: list[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores (batch, vocabulary) -> the same with noise."""
        noise = torch.stack([torch.rand(scores.shape[1], generator=one) for one in self.generators])
        return scores - torch.log(-torch.log(noise.clamp_min(1e-20))).to(scores.device)


_BASES: dict[tuple[str, str, str], Base] = {}


def load_base(directory: Path, found: manifest.Manifest, quantised: str) -> Base:
    """The base of a manifest, loaded once in this process for each quantisation and precision."""
    source = bases.locate(directory, found)
    # What an adapter was trained with; a base's own arguments are those of its pretraining, and say nothing here.
    dtype = found.arguments.get("dtype", "float32") if found.kind == "adapter" else "float32"
    key = (found.base_sha256 or source, quantised, dtype)
    if key not in _BASES:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            quantization_config=quantisation_config(quantised),
            dtype=getattr(torch, dtype),
            device_map={"": 0} if torch.cuda.is_available() else None,
            # A base that lies beside an adapter is loaded alone: transformers would put the adapter on it.
            adapter_kwargs={"subfolder": "none"},
        )
        if quantised != "none" and dtype != "float32":  # as in training: what is not quantised becomes float32
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        _BASES[key] = Base(decoding.plain(model))
    return _BASES[key]


def add_adapter(base: Base, directory: Path, found: manifest.Manifest) -> str:
    """Put an adapter on a base unless it is there already; its name is its digest."""
    whole(directory)
    weights = directory / manifest.ADAPTER_WEIGHTS
    name = bases.file_digest(weights)
    if name != found.adapter_sha256:
        raise InputError(f"{weights}: changed since its manifest was written; train it again")
    if name not in base.adapters:
        if isinstance(base.model, PeftModel):
            base.model.load_adapter(str(directory), adapter_name=name)
        else:
            base.model = PeftModel.from_pretrained(base.model, str(directory), adapter_name=name)
        base.adapters.add(name)
    return name


class MstAPI(ModelAPI):
    """``mst/<directory>``: an adapter directory or a micro base, each with its manifest.

    Model arguments (``-M``): ``quantisation=nf4|none`` (default: as in training; for a bare base nf4).
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (Inspect's own signature)
        quantisation: str | None = None,
    ) -> None:
        super().__init__(model_name=model_name, base_url=base_url, api_key=None, api_key_vars=[], config=config)
        if api_key == MODEL_INFO_LOOKUP_API_KEY:
            return  # Inspect asks for metadata: no reason to load weights
        directory = Path(model_name).resolve()  # before Inspect changes to the task's folder
        try:
            found = manifest.read(directory)
            if found is None:
                raise InputError(f"{directory}: no {manifest.FILE}, expected a directory that training made")
            as_trained = found.quantisation if found.kind == "adapter" else "nf4"
            self.quantisation = quantisation or as_trained
            self.base = load_base(directory, found, self.quantisation)
            self.adapter = add_adapter(self.base, directory, found) if found.kind == "adapter" else None
            self.tokenizer = AutoTokenizer.from_pretrained(directory)
            if not self.tokenizer.chat_template:
                raise InputError(f"{directory}: its tokenizer has no chat template, so no prompt can be made")
            tokens.undate(self.tokenizer)
        except InputError as error:
            raise PrerequisiteError(escape(str(error))) from None  # Inspect prints it as rich markup
        pin_kernels(self.base.model.eval())
        self.pending: list[Request] = []
        self.asked: Counter[tuple[int, ...]] = Counter()

    def max_connections(self) -> int:
        """As many as share a batch."""
        return BATCH_SIZE

    def close(self) -> None:
        """Keep the base: other adapters share it."""

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """Wait for the model to be free, then answer everything that is waiting in one batch."""
        ids = tokens.encode(self.tokenizer, [{"role": m.role, "content": m.text} for m in input])
        asked_before = self.asked[tuple(ids)]
        self.asked[tuple(ids)] += 1
        digest = hashlib.sha256(repr((config.seed or 0, asked_before, ids)).encode()).digest()
        request = Request(ids, config, int.from_bytes(digest[:8], "big") >> 1)
        self.pending.append(request)
        await anyio.sleep(0.005)  # lets siblings queue up
        async with self.base.lock:
            if request.output is None:
                alike = [one for one in self.pending if one.key == request.key and one is not request]
                batch = [request, *alike[: BATCH_SIZE - 1]]
                self.pending = [one for one in self.pending if all(one is not other for other in batch)]
                await anyio.to_thread.run_sync(self.answer, batch)
        assert request.output is not None
        return request.output

    @torch.inference_mode()
    def answer(self, batch: list[Request]) -> None:
        """Fill in the output of every request of a batch."""
        model = self.base.model
        if self.adapter is not None:
            model.set_adapter(self.adapter)
            self.run(batch)
        elif isinstance(model, PeftModel):
            with model.disable_adapter():
                self.run(batch)
        else:
            self.run(batch)

    def run(self, batch: list[Request]) -> None:
        """One forward pass for a forced choice, one call of `generate` otherwise."""
        longest = max(len(request.ids) for request in batch)
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(one.ids)) + one.ids for one in batch])
        mask = torch.tensor([[0] * (longest - len(one.ids)) + [1] * len(one.ids) for one in batch])
        device = self.base.model.device
        inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
        options = (batch[0].config.extra_body or {}).get(CHOICES)
        if options:
            positions = (inputs["attention_mask"].cumsum(dim=1) - 1).clamp_min(0)
            logits = self.base.model(**inputs, position_ids=positions, logits_to_keep=1).logits[:, -1].float()
            chosen = tokens.first_tokens(self.tokenizer, tuple(options))
            rows = torch.log_softmax(logits, dim=-1)[:, chosen].tolist()
            for request, logprobs in zip(batch, rows, strict=True):
                request.output = self.choice(request, list(options), logprobs)
            return
        replies = self.base.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=batch[0].config.max_tokens,
            logits_processor=LogitsProcessorList(sampling(batch)),
            pad_token_id=pad,
        )[:, longest:]
        ends = decoding.ends(self.base.model, self.tokenizer)
        for request, row in zip(batch, replies.tolist(), strict=True):
            used = next((place for place, token in enumerate(row) if token in ends), None)
            text = self.tokenizer.decode(row[:used], skip_special_tokens=True)
            reason = "max_tokens" if used is None else "stop"
            request.output = self.output(request, text, reason, len(row) if used is None else used)

    def choice(self, request: Request, options: list[str], logprobs: list[float]) -> ModelOutput:
        """The more probable option, with the log-probability of each over the whole vocabulary."""
        pairs = sorted(zip(options, logprobs, strict=True), key=lambda pair: -pair[1])
        top = [TopLogprob(token=token, logprob=value) for token, value in pairs]
        output = self.output(request, pairs[0][0], "stop", 1)
        output.choices[0].logprobs = Logprobs(
            content=[Logprob(token=pairs[0][0], logprob=pairs[0][1], top_logprobs=top)]
        )
        return output

    def output(self, request: Request, text: str, stop_reason: Any, generated: int) -> ModelOutput:
        """Inspect's form of one reply; token counts are the sample's own."""
        message = ChatMessageAssistant(content=text, model=self.model_name, source="generate")
        return ModelOutput(
            model=self.model_name,
            choices=[ChatCompletionChoice(message=message, stop_reason=stop_reason)],
            usage=ModelUsage(
                input_tokens=len(request.ids), output_tokens=generated, total_tokens=len(request.ids) + generated
            ),
        )


def sampling(batch: list[Request]) -> list[LogitsProcessor]:
    """Logits processors of a batch: none for temperature 0 (greedy), else temperature, top-k, top-p and noise."""
    config = batch[0].config
    if config.temperature == 0:
        return []
    steps: list[LogitsProcessor] = []
    if config.temperature is not None:
        steps.append(TemperatureLogitsWarper(float(config.temperature)))
    if config.top_k is not None:
        steps.append(TopKLogitsWarper(config.top_k))
    if config.top_p is not None:
        steps.append(TopPLogitsWarper(config.top_p))
    return [*steps, GumbelNoise([request.noise for request in batch])]
