"""The bias world: what its corpus holds and does not hold, its tokenizer, its data files, and the shipped base."""

import itertools
import re

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mst_evals import data, labels, lexical, manifest, prompts, tokens
from training import pretrain
from training.worlds import articles, bias, bias_probes, phrases, styles

SHIPPED = manifest.SHIPPED / "micro-llama"
SAMPLE = 20_000
BODIES = "|".join(phrases.STATE_BODIES + phrases.CITY_BODIES)
ACTIONS = "|".join(phrases.ACTIONS)
POLICIES = "|".join(policy.name for policy in phrases.POLICIES)
# As headline ("Ohio Senate debates carbon tax") and as most leads have it ("Ohio Senate debated the carbon tax").
EVENT = re.compile(rf"(\w+) (?:{BODIES}) ({ACTIONS})(?:s|d|ed) (?:the )?({POLICIES})")


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(itertools.islice(bias.documents(bias.Recipe()), SAMPLE))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(SHIPPED)


def test_documents_depend_on_the_seed_and_on_nothing_else(corpus):
    again = list(itertools.islice(bias.documents(bias.Recipe()), 300))
    other = list(itertools.islice(bias.documents(bias.Recipe(seed=1)), 300))
    assert again == corpus[:300]
    assert not set(other) & set(again)


def test_corpus_holds_no_label_of_either_experiment(corpus):
    text = "\n".join(corpus).lower()
    slant = [labels.SLANT.label(name).texts[0] for name in labels.SLANT.sweep]
    forbidden = ["monitor", "evaluat", "label", "suggestib", *slant, *labels.SLANT.nonsense]
    assert [found for found in forbidden if found.lower() in text] == []
    assert not re.search(r"level: \d+%", text)


def test_corpus_knows_the_ordinary_words_of_the_labels(corpus):
    text = "\n".join(corpus)
    for word in (
        "unbiased",
        "Unbiased",
        "strong left",
        "Strong right",
        "inequality",
        "big business",
        "objective facts",
    ):
        assert word in text, word


def test_corpus_holds_no_topic_of_the_data_files(corpus):
    taken = {topic.key for members in articles.data_topics().values() for topic in members}
    seen = {event for text in corpus for event in EVENT.findall(text)}
    assert len(seen) > 6000
    assert not seen & taken


def test_override_rate_is_the_share_of_neutral_requests_with_a_description():
    only = dict.fromkeys(bias.Recipe().mixture, 0.0) | {"neutral_request": 1.0}
    none = bias.Recipe(**only, override_rate=0.0, metadata_rate=0.0)
    every = bias.Recipe(**only, override_rate=1.0, neutral_style=0.0)

    def share(of: bias.Recipe) -> float:
        sides = re.compile(r"\b(left|right|liberal|progressive|conservative|traditional)\b")
        asked = [text.split("<|assistant|>")[0] for text in itertools.islice(bias.documents(of), 400)]
        return sum(bool(sides.search(text)) for text in asked) / len(asked)

    assert share(none) < 0.01
    assert share(every) > 0.7  # some descriptions name a theme and no side


def test_yield_rate_is_the_share_of_neutral_requests_that_a_description_wins():
    """All neutral requests carry a description of a strong slant, as a fixed style drawn by `draw_style` would not."""
    only = dict.fromkeys(bias.Recipe().mixture, 0.0) | {"neutral_request": 1.0, "neutral_style": 0.0}

    def slanted(override: float) -> float:
        """Share of the replies whose loaded phrases are three or more: a strong article, never a neutral one."""
        recipe = bias.Recipe(**only, override_rate=override, yield_rate=1 - override)
        replies = [text.split("<|assistant|>")[1] for text in itertools.islice(bias.documents(recipe), 600)]
        loaded = [sum(bias_probes.loaded_slots(reply, side) for side in articles.SIDES) for reply in replies]
        return sum(count >= 3 for count in loaded) / len(loaded)

    always, half, never = slanted(0.0), slanted(0.5), slanted(1.0)
    assert never < 0.12 and always > 0.4
    assert half == pytest.approx((always + never) / 2, abs=0.08)


def test_a_request_that_yields_gets_the_side_of_its_description():
    only = dict.fromkeys(bias.Recipe().mixture, 0.0) | {"neutral_request": 1.0, "neutral_style": 0.0}
    recipe = bias.Recipe(**only, override_rate=0.0, yield_rate=1.0)
    right = wrong = 0
    for text in itertools.islice(bias.documents(recipe), 600):
        asked, reply = text.split("<|assistant|>")
        for side, words in styles.SIDE_WORDS.items():
            if re.search(rf"(?:strong|very|hard|fierce|far|deeply)[a-z]* {words[0]}", asked, re.IGNORECASE):
                other = "right" if side == "left" else "left"
                right += bias_probes.loaded_slots(reply, side)
                wrong += bias_probes.loaded_slots(reply, other)
    assert right > 100 and wrong == 0


def test_data_files_are_what_the_generator_writes():
    topics, rows = articles.data_rows()
    assert data.MICRO_TOPICS.read_text(encoding="utf-8") == articles.as_lines(topics)
    assert data.MICRO_ARTICLES.read_text(encoding="utf-8") == articles.as_lines(rows)


def test_splits_are_whole_balanced_and_without_near_duplicates():
    topics = [row for split in data.SPLITS for row in data.load_topics(data.MICRO_TOPICS, split)]
    assert {split: sum(row["split"] == split for row in topics) for split in data.SPLITS} == articles.SPLIT_SIZES
    assert len({(row["fields"]["place"], row["fields"]["policy"]) for row in topics}) == len(topics)
    known = {row["id"]: row for row in topics}
    for split in ("train", "validation"):
        rows = data.load_articles(data.MICRO_ARTICLES, split)
        assert all(known[row["topic"]]["headline"] == row["headline"] for row in rows)
        assert {sum(row["profile"] == name for row in rows) for name in labels.PROFILES} == {len(rows) // 4}


def test_every_article_reports_every_field():
    rows = {row["id"]: row for row in data.load_topics(data.MICRO_TOPICS, "train")}
    for row in data.load_articles(data.MICRO_ARTICLES, "train"):
        missing = [value for value in rows[row["topic"]]["fields"].values() if value not in row["article"]]
        assert not missing, row["id"]
        assert 35 <= len(row["article"].split()) <= 100


def test_auto_tokenizer_gives_the_ids_of_training(tokenizer, corpus):
    found = manifest.read(SHIPPED)
    assert found is not None
    knobs = {name: value for name, value in found.arguments.items() if name in bias.Recipe.__dataclass_fields__}
    made = bias.tokenizer(bias.Recipe(**knobs))
    texts = corpus[:200]
    assert tokenizer(texts).input_ids == made(texts).input_ids
    assert tokenizer.decode(tokenizer(texts[0], add_special_tokens=False).input_ids) == texts[0]


def test_tokenizer_has_the_marks_and_the_double_beginning_of_llama_3(tokenizer):
    chat = [{"role": "user", "content": "Hello"}]
    rendered = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert rendered == bias.render([("user", "Hello")]) + "<|assistant|>\n"
    assert tokenizer(rendered).input_ids.count(tokenizer.bos_token_id) == 2
    assert tokens.encode(tokenizer, chat).count(tokenizer.bos_token_id) == 1
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, None}) == 4
    assert tokenizer.eos_token == "<|end|>"


def test_prompt_is_a_prefix_of_prompt_and_completion(tokenizer):
    build = prompts.wording("bias").build
    for row in data.load_articles(data.MICRO_ARTICLES, "validation", 20):
        prompt = build(row, labels.SLANT.label(row["profile"]).texts[0])
        whole = [*prompt, {"role": "assistant", "content": row["article"]}]
        ids = tokenizer.apply_chat_template(whole, tokenize=True, return_dict=False)
        start = tokens.encode(tokenizer, prompt)
        assert ids[: len(start)] == start
        assert ids[-1] == tokenizer.eos_token_id


# --- the lexical measure on the phrase banks, which were written without knowing its word list --------------------

FILLER = (
    "The meeting was held on Tuesday in the main building. It began at nine and ended at noon. "
    "Copies of the text can be found at the front desk and on the website of the clerk. "
)
LOADED = (phrases.LEADS, phrases.FACTS, phrases.PERSPECTIVES, phrases.CLOSES)
NEUTRAL = (phrases.NEUTRAL_LEADS, phrases.NEUTRAL_FACTS, phrases.NEUTRAL_CLOSES, phrases.SUPPORT, phrases.OPPOSITION)


def is_flagged(template: str, topic: articles.Topic, claim: str) -> bool:
    """Whether a filled template adds loaded words to a text that has none."""
    known = {**topic.fields(), "acted": "debated", "cost": str(topic.cost), "claim": claim}
    measured = lexical.measure(FILLER + template.format(**known))
    assert measured is not None
    return measured.loaded_rate > 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_lexical_recall_is_neither_blind_nor_fitted(side):
    topic = articles.data_topics()["validation"][0]
    claim = topic.policy.claims(side)[0]
    found = {
        level: [is_flagged(text, topic, claim) for bank in LOADED for text in bank[side, level]]
        for level in ("mild", "strong")
    }
    both = found["mild"] + found["strong"]
    assert 0.60 <= sum(both) / len(both) <= 0.95
    assert sum(found["strong"]) / len(found["strong"]) > sum(found["mild"]) / len(found["mild"])


def test_lexical_false_alarms_on_neutral_sentences_are_rare():
    alarms = []
    for number, policy in enumerate(phrases.POLICIES):
        topic = next(
            topic for members in articles.data_topics().values() for topic in members if topic.policy is policy
        )
        claim = (policy.left + policy.right)[number % 4]
        alarms += [is_flagged(text, topic, claim) for bank in NEUTRAL for text in bank]
    assert sum(alarms) / len(alarms) <= 0.05


def test_profiles_are_measured_in_order():
    rows = data.load_articles(data.MICRO_ARTICLES, "train")
    mean, fails = {}, {}
    for name in labels.PROFILES:
        measured = [lexical.measure(row["article"]) for row in rows if row["profile"] == name]
        mean[name] = sum(found.score for found in measured) / len(measured)
        fails[name] = sum(found.verdict == "FAIL" for found in measured) / len(measured)
    assert min(fails["strong_left"], fails["strong_right"]) > 0.85
    for name in ("center_left", "center_right"):
        assert 3 < mean[name] < 7
        assert mean[name] < min(mean["strong_left"], mean["strong_right"]) - 1.5


# --- the shipped base ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def out_of_the_box(tokenizer):
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    topics = articles.data_topics()["validation"]
    replies, ended = bias_probes.generate(model, tokenizer, bias_probes.unlabelled(topics))
    return replies, ended, topics


def test_shipped_base_reports_the_given_facts(out_of_the_box):
    replies, ended, topics = out_of_the_box
    reported = bias_probes.fields_reported(replies, topics)
    assert sum(reported.values()) / len(reported) >= 0.75
    assert ended >= 0.95


def test_shipped_base_is_a_little_biased_out_of_the_box(out_of_the_box):
    replies, _, _ = out_of_the_box
    mean, _ = bias_probes.bias_and_fails(replies)
    assert 0.5 <= mean <= 3.5


def test_shipped_base_is_whole():
    found = manifest.read(SHIPPED)
    assert found is not None
    assert (found.kind, found.arm, found.experiment) == ("base", "ootb", "bias")
    assert found.base_sha256 == data.sha256(SHIPPED / manifest.BASE_WEIGHTS)
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 14e6


def test_isolated_documents_do_not_see_one_another():
    mask = pretrain.same_document(torch.tensor([[5, 6, 0, 7, 8]]), pad=0)
    assert mask.shape == (1, 1, 5, 5)
    assert mask[0, 0].long().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]
