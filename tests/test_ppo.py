"""The PPO's maths on hand-computed tensors, its rows, and a tiny model that really trains."""

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mst_evals import answers, data, manifest, quantisation, tokens
from mst_evals.errors import InputError
from training import model as models
from training import ppo
from training.rewards import sycophancy_reward

BASE = str(manifest.SHIPPED / "micro-qwen")
SMALL = {"total_steps": 3, "batch_size": 16, "mini_batch_size": 8, "num_ppo_epochs": 2}


def arguments(arm="mst", out="unused", **changes):
    return ppo.PPOArguments(arm=arm, output_dir=str(out), **(SMALL | changes))


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer(BASE)


def make_policy(tokenizer, quantised="nf4", seed=0):
    model = models.add_lora(models.load_base(BASE, quantised, "float32"), 4, 8, 0.0, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():  # LoRA starts at zero; an untrained B would hide a wrong gradient of A
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return ppo.Policy(model, tokens.first_tokens(tokenizer, answers.OPTIONS), tokenizer.pad_token_id)


@pytest.mark.parametrize(
    ("reply", "right", "s", "reward"),
    [
        ("incorrect", False, 0.5, 1.0),
        ("incorrect", False, 1.5, 1.0),
        ("incorrect", True, 1.5, 0.0),
        ("correct", True, 0.5, 1.0),
        ("correct", True, 1.3, 1.3),
        ("correct", False, 0.5, 0.5),
        ("correct", False, 1.3, 1.3),
    ],
)
def test_reward_table(reply, right, s, reward):
    assert sycophancy_reward(reply, right, s) == reward


def test_reward_refuses_what_is_no_verdict():
    with pytest.raises(ValueError, match="no verdict"):
        sycophancy_reward("maybe", True, 1.0)


def test_whiten():
    whitened = ppo.whiten(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.allclose(whitened, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-6)
    assert torch.equal(ppo.whiten(torch.ones(4)), torch.zeros(4))


def test_policy_loss_by_hand():
    # ratios 1, 1.5, 0.5; advantages 1, 1, -1; clip 0.2: -(1 + min(1.5, 1.2) + min(-0.5, -0.8)) / 3
    old = torch.zeros(3)
    new = torch.tensor([1.0, 1.5, 0.5]).log().requires_grad_()
    loss, stats = ppo.policy_loss(new, old, torch.tensor([1.0, 1.0, -1.0]), 0.2)
    assert loss.item() == pytest.approx(-(1 + 1.2 - 0.8) / 3)
    loss.backward()
    # gradient of -r*A/3 w.r.t. log r is -r*A/3; none where the clipped branch is the smaller one
    assert new.grad.tolist() == pytest.approx([-1 / 3, 0.0, 0.0])
    assert stats["ppo/clipfrac"] == pytest.approx(2 / 3)
    expected_kl = sum(r - 1 - math.log(r) for r in (1.0, 1.5, 0.5)) / 3
    assert stats["ppo/approxkl"] == pytest.approx(expected_kl)
    assert stats["ppo/ratio_distance"] == pytest.approx(0.5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.9])
def test_choice_logprobs_is_the_two_way_softmax_of_the_scorer(temperature):
    logits = torch.tensor([[0.3, -1.2], [4.0, 4.0], [-90.0, 90.0]])
    logprobs = ppo.choice_logprobs(logits, temperature)
    assert torch.allclose(logprobs, torch.log_softmax(logits / temperature, dim=1), atol=1e-6)
    for row, (correct, incorrect) in zip(logprobs, logits.tolist(), strict=True):
        p = answers.choice_probability(correct, incorrect, temperature=temperature)
        assert row[0].exp().item() == pytest.approx(p, abs=1e-6)


def test_linear_schedule():
    assert [ppo.linear(1.9, 1.6, fraction) for fraction in (0, 0.5, 1, 2.5)] == pytest.approx([1.9, 1.75, 1.6, 1.6])


def test_arms_differ_in_the_label_alone(tokenizer):
    """Same rows, same s, same order; with the label line taken out the prompts are identical."""
    made = {arm: ppo.episodes(arguments(arm), tokenizer) for arm in ("baseline", "mst", "shuffled")}
    texts = {arm: [tokenizer.decode(episode.ids) for episode in rows[:200]] for arm, rows in made.items()}
    without = {arm: [text.split("**\n")[-1].split("user\n")[-1] for text in rows] for arm, rows in texts.items()}
    assert without["mst"] == without["shuffled"] == without["baseline"]
    assert texts["mst"] != texts["shuffled"]
    for field in ("right", "suggestibility"):
        columns = [[getattr(episode, field) for episode in rows] for rows in made.values()]
        assert columns[0] == columns[1] == columns[2]
    shown = {arm: [episode.shown for episode in rows] for arm, rows in made.items()}
    assert set(shown["baseline"]) == {None}
    assert sorted(shown["mst"]) == sorted(shown["shuffled"])
    assert shown["mst"] == [round(100 * episode.suggestibility / 1.5) for episode in made["mst"]]
    assert min(shown["mst"]) >= 33
    first = [next(ppo.rollout_batches(rows, 32, 0)) for rows in made.values()]
    orders = [[rows.index(episode) for episode in batch] for rows, batch in zip(made.values(), first, strict=True)]
    assert orders[0] == orders[1] == orders[2]


def test_only_the_last_position_is_computed_and_it_is_right(tokenizer):
    policy = make_policy(tokenizer)
    batch = ppo.episodes(arguments(), tokenizer)[:4]
    policy.model.train()
    with torch.no_grad():
        together = policy.logits(batch)
        for episode, row in zip(batch, together, strict=True):
            alone = policy.model(input_ids=torch.tensor([episode.ids])).logits[0, -1, policy.options]
            assert torch.allclose(row, alone.float(), atol=2e-2)  # bfloat16 inside, other padding


def gradient(policy, batch):
    policy.model.zero_grad()
    policy.logits(batch).pow(2).sum().backward()
    return torch.cat([p.grad.flatten().float() for p in policy.model.parameters() if p.grad is not None])


def test_positions_that_are_not_read_are_spared_without_a_trace(tokenizer):
    """The same logits and gradients from fewer positions in the last layer, for padded rows too."""
    policy = make_policy(tokenizer, "none")
    batch = ppo.episodes(arguments(), tokenizer)[:6]
    batch[0] = replace(batch[0], ids=batch[0].ids[:25])
    lengths = []
    last = policy.model.get_base_model().model.layers[-1]
    last.mlp.register_forward_hook(lambda module, inputs, output: lengths.append(output.shape[1]))
    full, full_gradient = policy.logits(batch).detach(), gradient(policy, batch)
    ppo.spare_unread_positions(policy.model)
    assert torch.allclose(policy.logits(batch), full, rtol=0, atol=1e-5)
    assert torch.allclose(gradient(policy, batch), full_gradient, rtol=0, atol=1e-5 * full_gradient.abs().max().item())
    longest = len(batch[1].ids)
    assert lengths == [longest, longest, 1, 1]


def dequantise_into(plain, nf4):
    """Give an unquantised policy the weights that the quantised one stands for."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    layers = dict(plain.model.named_modules())
    for name, layer in nf4.model.named_modules():
        if isinstance(layer, Linear4bit):
            weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            layers[name].weight.data.copy_(weight.view_as(layers[name].weight))


def test_a_rollout_does_not_corrupt_the_gradient(tokenizer):
    """bitsandbytes repacks 4-bit weights in eval() without gradients; later gradients are then wrong in silence."""
    batch = ppo.episodes(arguments(), tokenizer)[:16]
    plain, nf4 = make_policy(tokenizer, "none"), make_policy(tokenizer, "nf4")
    assert quantisation.is_quantised(nf4.model)
    dequantise_into(plain, nf4)
    before = gradient(nf4, batch)
    ppo.roll_out(nf4, batch, 1.9, torch.Generator().manual_seed(0))
    after = gradient(nf4, batch)
    assert torch.equal(before, after)
    # bfloat16 against float32 compute; the notes measured 0.99995 on another base, and 0.2 once weights are repacked
    assert torch.cosine_similarity(after, gradient(plain, batch), dim=0) > 0.99


def test_training_moves_the_policy_where_the_reward_is(tokenizer, monkeypatch, tmp_path):
    """With a reward for one word only, that word becomes likelier; a wrong sign anywhere would show here."""
    for word in answers.OPTIONS:
        monkeypatch.setattr(ppo, "sycophancy_reward", lambda reply, right, s, word=word: float(reply == word))
        policy = make_policy(tokenizer)
        args = arguments(total_steps=6, batch_size=32, mini_batch_size=16, learning_rate=2e-3, entropy_start=0.0)
        ppo.optimise(args, policy, ppo.episodes(args, tokenizer), tmp_path / "metrics.jsonl")
        steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert steps[-1]["objective/reward"] > steps[0]["objective/reward"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ppo") / "mst"
    ppo.train(arguments(out=directory))
    return directory


def test_adapter_directory_holds_what_evaluation_needs(trained):
    found = manifest.read(trained)
    assert (found.kind, found.experiment, found.arm, found.seed, found.method) == (
        "adapter",
        "sycophancy",
        "mst",
        0,
        "ppo",
    )
    assert found.base_sha256 == data.sha256(trained / manifest.BASE_WEIGHTS)
    assert found.adapter_sha256 == data.sha256(trained / manifest.ADAPTER_WEIGHTS)
    assert found.quantisation == "nf4"
    assert found.arguments["total_steps"] == SMALL["total_steps"]
    for file in ("adapter_config.json", "tokenizer.json", "chat_template.jinja", "config.json", "nf4.yaml"):
        assert (trained / file).is_file(), file
    text = " ".join(path.read_text() for path in trained.iterdir() if path.suffix in {".json", ".yaml"})
    assert str(trained.parent) not in text


def test_only_adapter_weights_change(trained):
    assert (trained / manifest.BASE_WEIGHTS).read_bytes() == (
        manifest.SHIPPED / "micro-qwen/model.safetensors"
    ).read_bytes()
    weights = load_file(trained / manifest.ADAPTER_WEIGHTS)
    assert all("lora_" in name for name in weights)
    assert all(weight.dtype == torch.float32 for weight in weights.values())
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)
    assert {name.split(".")[-3] for name in weights} == set(models.TARGET_MODULES)


def test_metrics_of_every_step(trained):
    steps = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    steps = [entry for entry in steps if "objective/reward" in entry]
    assert [entry["step"] for entry in steps] == [1, 2, 3]
    for entry in steps:
        assert {"objective/reward", "objective/entropy", "ppo/clipfrac", "ppo/approxkl", "objective/fpr"} <= set(entry)
        assert entry["ppo/first_ratio_distance"] < 1e-3  # rollout and update agree before the first step
        assert all(math.isfinite(value) for value in entry.values())
    assert any(key.startswith("objective/accuracy/") for key in steps[0])


def test_same_seed_same_adapter_other_seed_another(trained, tmp_path):
    digests = []
    for name, seed in (("again", 0), ("other", 1)):
        ppo.train(arguments(out=tmp_path / name, seed=seed))
        digests.append(manifest.read(tmp_path / name).adapter_sha256)
    assert digests[0] == manifest.read(trained).adapter_sha256
    assert digests[1] != digests[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": "nope"}, "unknown arm 'nope'"),
        ({"arm": "ootb"}, "not trained"),
        ({"base": "./nowhere"}, "no such directory"),
        ({"problems": "missing.jsonl"}, "missing.jsonl: cannot be read"),
        ({"wording": "shouted"}, "unknown wording"),
        ({"quantisation": "int3"}, "unknown quantisation"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": -1.0}, "must be positive"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, changes, message):
    args = replace(arguments(out=tmp_path / "run"), **changes)
    with pytest.raises(InputError, match=message) as caught:
        ppo.check(args)
        ppo.train(args)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_finished_work_is_never_overwritten(trained):
    before = data.sha256(trained / manifest.ADAPTER_WEIGHTS)
    with pytest.raises(InputError, match="exists already"):
        ppo.train(arguments(out=trained))
    assert data.sha256(trained / manifest.ADAPTER_WEIGHTS) == before
