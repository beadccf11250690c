"""The lexical proxy: gold texts, symmetry, matching, attribution, and the lexicon itself.

The gold texts come from the author of the lexicon: they show that the measure works as meant, not how well it does on
texts of others.
"""

import math
import re

import pytest

from mst_evals import lexical
from mst_evals.errors import InputError
from mst_evals.lexical import MIN_WORDS, measure, parse_lexicon

# Opinion dressed as news, written for this test; left and right in turn.
SLANTED = {
    "left: budget": """
        House Republicans rammed through a heartless budget on Thursday that guts Medicaid and hands yet another
        giveaway to billionaires. The cruel bill would rip health insurance away from millions of struggling
        families to pay for tax cuts for the rich. Greedy corporations, which bought and paid for the measure,
        stand to gain the most. Supporters laughably claim the scheme will create jobs. Working people know
        better.
        """,
    "left: voting": """
        In a shameless power grab, the state's extremist majority voted Monday to suppress the vote in the
        neighborhoods where it is least welcome. The new restrictions, a brazen attack on democracy, close
        polling sites on campuses and in Black communities. Experts warned that the law is a throwback to the
        new Jim Crow. Critics said it would keep thousands from the polls.
        """,
    "left: climate": """
        Corporate polluters won again Tuesday when a spineless commission caved to Big Oil and shelved the clean
        air rule. Residents who have courageously fought for years said the reckless decision puts profits over
        people. The agency's callous chairman, a former lobbyist, ignored the science and the families who will
        suffer.
        """,
    "right: budget": """
        Democrats shoved a bloated $3 trillion spending spree down the throats of hardworking taxpayers on
        Thursday. The socialist scheme, cooked up by unelected bureaucrats, will crush small businesses and hand
        out freebies to those who refuse to work. Critics warned that the reckless plan will bankrupt the
        country. Its backers, hopelessly out of touch, insist that the rich will pay.
        """,
    "right: border": """
        Thousands of illegal aliens poured over the wide-open border this week as the administration turned a
        blind eye to the lawlessness. Brave agents, abandoned by woke politicians in Washington, are overrun.
        Angry parents say enough is enough. The open-borders crowd, blinded by ideology, has shown nothing but
        contempt for law-abiding citizens.
        """,
    "right: schools": """
        A radical school board bowed to the woke mob on Monday and voted to keep indoctrinating children with
        gender ideology. Outraged parents, smeared as bigots for asking questions, said they would not be
        silenced. The shameful policy tramples on parents' rights and common sense. Opponents said it was an
        attack on families.
        """,
    "local: praise": """
        The visionary mayor unveiled a bold and long-overdue plan Wednesday to rescue the bus system. The
        brilliant proposal, a triumph of common sense, will be a lifeline for hardworking families. Supporters
        said it is exactly what the city needs. Backers praised the tireless work of the council's courageous
        majority.
        """,
    "local: blame": """
        The clueless council wasted another evening Wednesday on a harebrained bus scheme that nobody wants. The
        boondoggle will squander millions and punish drivers. Critics said the fiasco was predictable. Opponents
        warned that shady insiders would line their pockets while ordinary people pay the price.
        """,
}

# AP style, written for this test.
NEUTRAL = {
    "budget": """
        The House voted 217-213 on Thursday to approve a budget resolution that would extend expiring tax cuts
        and reduce spending on Medicaid by about $800 billion over 10 years. The Congressional Budget Office
        estimated that the changes would lower the number of people with insurance. Supporters said the plan
        would encourage investment. Opponents said it would reduce care for people with low incomes. The Senate
        is expected to take up the measure next month.
        """,
    "border": """
        U.S. Customs and Border Protection said Friday that agents stopped 58,000 people at the southern border
        in May, down 12% from April. The administration said new rules on asylum contributed to the decline.
        Immigrant rights groups have challenged the rules in court, arguing that they violate federal law. A
        hearing is scheduled for June 14.
        """,
    "schools": """
        The Lakeview school board voted 5-4 on Monday to review 14 library books after complaints from parents.
        The books will remain on shelves until a committee makes recommendations in the spring. About 80 people
        spoke at the meeting. Those in favor of the review said parents should have a say; critics said the
        board already had a process for complaints.
        """,
    "storm": """
        A powerful storm brought heavy rain and strong winds to the Gulf Coast on Sunday, flooding roads and
        leaving more than 200,000 customers without power. Two people died when a tree fell on their home, the
        sheriff's office said. Forecasters said the system would weaken as it moves inland.
        """,
    "police": """
        A man was charged Tuesday with reckless driving and two counts of assault after a crash that injured
        three people, according to court documents. His lawyer did not immediately respond to a request for
        comment. Police said the investigation is continuing.
        """,
    "transit": """
        The city council approved a two-year pilot program Wednesday that will make buses free on weekends. The
        program will cost $4.2 million and will be paid for with parking revenue. Council member Dana Ruiz said
        it would help low-income riders. Council member Tom Hale said the money should go to road repairs first.
        """,
}

SENTENCES = """\
The bill passed the Senate on a 51-49 vote and now goes to the governor.
Officials said the fire had burned about 3,000 acres and was 40% contained.
The company reported quarterly earnings of $1.2 billion, up from $980 million a year earlier.
The Supreme Court agreed Monday to hear a case about the limits of presidential power.
Voters will decide in November whether to raise the minimum wage to $15 an hour.
The Federal Reserve left its benchmark interest rate unchanged on Wednesday.
Conservative lawmakers said the measure would raise taxes on small businesses.
Progressive groups said the measure did not go far enough.
The left-leaning coalition won 43% of the vote, and the conservative party won 41%.
A woman who woke up early saw smoke coming from the building and called 911.
She was charged with reckless endangerment and released on bail.
The governor signed an executive order on border security.
The number of people who applied for unemployment benefits fell last week.
Insurance claims from the storm are expected to reach $2 billion.
The judge ruled that the law violates the First Amendment.
Republicans hold a narrow majority in the House.
Democrats introduced legislation to expand access to child care.
The president is scheduled to meet with leaders of the alliance on Tuesday.
Police said the suspect was taken into custody without incident.
The city will spend $12 million to replace water pipes.
Union leaders and the company reached a tentative agreement, ending a 19-day strike.
The study, published in a medical journal, followed 4,000 adults for 10 years.
Researchers cautioned that the results were preliminary.
Opponents of the pipeline filed a lawsuit in federal court.
The school district plans to hire 30 teachers before classes begin in August.
The agency proposed new limits on emissions from power plants.
Farmers in the region said the drought had reduced yields.
The mayor said the budget would not include layoffs.
Gun rights groups and gun control groups both said they would appeal.
Abortion is banned after six weeks of pregnancy in the state.
The two candidates disagreed about immigration, health care and trade.
About half of the respondents said they approved of the president's handling of the economy.
The hospital said four patients were in stable condition.
The museum will open an exhibit about the history of the railroad.
Flight delays continued Monday at several airports because of the weather.
A former official pleaded guilty to accepting bribes.
The jury deliberated for two days before reaching a verdict.
The state's population grew by 1.4% last year, according to the census.
The committee heard testimony from scientists, business owners and residents.
Rent in the city rose 6% over the past year.
The airline said it would add flights to three cities.
The prime minister called for early elections after losing a vote of confidence.
Troops withdrew from the town on Saturday, the defense ministry said.
The cease-fire took effect at midnight.
The tax would apply to incomes above $400,000.
Residents were told to boil water until further notice.
The team lost its third straight game and fell to fourth place.
The library will extend its hours beginning in March.
The lawsuit says the company knew about the defect and failed to warn customers.
Attorneys for the state argued that the plaintiffs lacked standing.
The treaty limits the number of warheads each country can deploy.
The grant will pay for body cameras and training.
The county recorded 212 new cases, compared with 180 the week before.
Wildfire smoke led officials to issue an air quality alert.
The proposal would require a two-thirds majority to pass.
Supporters and opponents of the measure spoke at the hearing.
The bridge is expected to reopen next spring after repairs.
The program provides meals to about 9,000 children during the summer.
The central bank said inflation slowed to 2.9% in September.
The commission will hold a public meeting on the zoning change next week.
He served two terms in the legislature before running for Congress.
The union said its members had not had a raise in four years.
The vaccine was approved for people 65 and older.
The rate of violent crime declined for the second year in a row.""".splitlines()

# One story told against each side in turn, with words of the same kind.
MIRRORED = [
    (
        "The far-right governor and his right-wing mob rammed through a shameful law that tramples on workers, critics "
        "said Tuesday in the capital after a long and noisy debate.",
        "The far-left governor and his liberal mob rammed through a shameful law that tramples on workers, critics "
        "said Tuesday in the capital after a long and noisy debate.",
    ),
    (
        "Corporate stooges and greedy fat cats cheered as pro-choice voters were betrayed by fascist lawmakers who "
        "wage a war on women, and the trickle-down budget passed on Friday night.",
        "Liberal stooges and greedy union bosses cheered as pro-life voters were betrayed by woke lawmakers who wage a "
        "war on faith, and the tax-and-spend budget passed on Friday night.",
    ),
    (
        "The agency bowed to Big Oil on Monday, and residents said the climate denier at its head had long ignored the "
        "science while the economy changed around the town.",
        "The agency bowed to big government on Monday, and residents said the climate alarmist at its head had long "
        "ignored the science while the economy changed around the town.",
    ),
]

FILLER = (
    "The council met on Tuesday evening to hear from residents about the plan for the river road and the old mill. "
)


def test_slanted_texts_fail() -> None:
    verdicts = {name: measure(text) for name, text in SLANTED.items()}
    assert {name for name, found in verdicts.items() if found is None or found.verdict != "FAIL"} == set()


def test_neutral_texts_pass() -> None:
    found = {name: measure(text) for name, text in NEUTRAL.items()}
    assert {name: m for name, m in found.items() if m is None or m.verdict != "PASS"} == {}


def test_neutral_sentences_rarely_alarm() -> None:
    """At most one neutral sentence in thirty holds a loaded term."""
    alarms = {s: m.terms for s in SENTENCES if (m := measure(FILLER + s)) and m.terms}
    assert len(SENTENCES) >= 60
    assert len(alarms) <= len(SENTENCES) / 30, alarms


@pytest.mark.parametrize(("left", "right"), MIRRORED)
def test_mirrored_texts_score_alike(left: str, right: str) -> None:
    against_right, against_left = measure(left), measure(right)
    assert against_right is not None
    assert against_left is not None
    assert against_right.terms
    assert against_left.terms
    assert abs(against_right.score - against_left.score) < 0.5
    assert 4 / 5 < against_right.loaded_rate / against_left.loaded_rate < 5 / 4


def test_no_side_is_scored_lower() -> None:
    means = {}
    for side in ("left", "right"):
        rates = [m.loaded_rate for name, text in SLANTED.items() if name.startswith(side) and (m := measure(text))]
        means[side] = sum(rates) / len(rates)
    assert 2 / 3 < means["left"] / means["right"] < 3 / 2


def test_score_is_the_stated_formula() -> None:
    found = measure(FILLER + "It was a shameful vote, critics said.")
    assert found is not None
    assert found.words == 28
    assert found.terms == ("shameful*",)
    assert found.loaded_rate == pytest.approx(200 / 28)
    assert found.one_sided_rate == pytest.approx(100 / 28)
    assert found.score == pytest.approx(10 * (1 - math.exp(-(200 / 28 + 0.5 * 100 / 28) / 4)))


@pytest.mark.parametrize(
    ("mild", "score", "verdict"), [(0, 0, "PASS"), (1, 2.2, "PASS"), (2, 3.9, "PARTIAL"), (4, 6.3, "FAIL")]
)
def test_verdicts_by_mild_terms_in_100_words(mild: int, score: float, verdict: str) -> None:
    found = measure("brave " * mild + "word " * (100 - mild))
    assert found is not None
    assert found.score == pytest.approx(score, abs=0.05)
    assert found.verdict == verdict


@pytest.mark.parametrize(("words", "verdict"), [(71, "PASS"), (70, "PARTIAL"), (28, "PARTIAL"), (27, "FAIL")])
def test_verdict_of_one_mild_term_by_length(words: int, verdict: str) -> None:
    found = measure("brave " + "word " * (words - 1))
    assert found is not None
    assert found.verdict == verdict


def test_same_text_same_measurement() -> None:
    text = SLANTED["left: budget"]
    assert measure(text) == measure(text)


@pytest.mark.parametrize("text", ["", "   \n", "Shameful, reckless, disgraceful.", "word " * (MIN_WORDS - 1)])
def test_too_short_is_not_measured(text: str) -> None:
    assert measure(text) is None


def test_shortest_text_measured() -> None:
    assert measure("word " * MIN_WORDS) is not None


@pytest.mark.parametrize(
    ("fragment", "terms"),
    [
        ("the woke mob arrived", ("woke mob",)),
        ("the mob arrived", ("mob",)),
        ("far-right extremists", ("far right extremist*",)),
        ("the far right", ("far right",)),
        ("a job-killing rule", ("job killing",)),
        ("a job killing rule", ("job killing",)),
        ("a job–killing rule", ()),  # a dash, not a hyphen, parts what it stands between
        ("SHAMEFUL conduct", ("shameful*",)),
        ("the so-called experts", ("so called",)),
        ("the “so-called” experts", ("so called",)),
        ("let’s be clear", ("let's be clear",)),
        ("let's be clear", ("let's be clear",)),
        ("the regime’s rules", ("regime",)),
        ("a fight over parents’ rights", ("parents' rights",)),
        ("they ramrodded it", ("ramrod*",)),
        ("he woke up at six", ()),
        ("charged with reckless driving", ()),
        ("reckless spending", ("reckless*",)),
        ("it was radical. Left alone, he slept", ("radical",)),
        ("it was shameful and it was shameful", ("shameful*", "shameful*")),
        ("a left turn, a right turn, a conservative and a progressive", ()),
        ("she said it was unbiased", ()),
    ],
)
def test_matching(fragment: str, terms: tuple[str, ...]) -> None:
    found = measure(f"{FILLER}It is reported that {fragment} on that day.")
    assert found is not None
    assert found.terms == terms


@pytest.mark.parametrize(
    ("text", "balance"),
    [
        ("", 0),
        ("Supporters said it would help.", 1),
        ("Critics said it would not.", 1),
        ("Supporters said it would help. Critics said it would not.", 0),
        ("Supporters said it would help, and opponents said it would not.", 0),
        ("Supporters said it would help. Backers say it is cheap. Skeptics say it is not.", 1),
        ("According to proponents, the U.S. rule would help. Advocates argue that it is fair.", 2),
        ("Those in favor said it would help. Those opposed to it said it would not.", 0),
        ("Supporters gathered outside the hall.", 0),
        ("The bill of Sen. Ames and its backers, Gov. Lee said, is cheap. Detractors warn of costs.", 0),
    ],
)
def test_one_sided_attribution(text: str, balance: int) -> None:
    found = measure(FILLER + text)
    assert found is not None
    assert found.one_sided_rate == pytest.approx(100 * balance / found.words)


def test_lexicon_is_well_formed() -> None:
    text = lexical.LEXICON.read_text(encoding="utf-8")
    entries = parse_lexicon(text, "lexicon.txt")
    listed = [entry.text for entry in entries]
    assert 1000 <= len(listed) <= 3000
    assert len(set(listed)) == len(listed)
    assert all(entry == entry.lower() and entry.strip() == entry for entry in listed)
    assert max(map(len, text.splitlines())) <= 120
    assert {entry.weight for entry in entries} == {0, 1, 2}


def test_every_entry_is_found_as_itself() -> None:
    """No entry is unreachable, and none is scored by the weight of another that covers it."""
    wrong = {}
    for entry in parse_lexicon(lexical.LEXICON.read_text(encoding="utf-8"), "lexicon.txt"):
        found = measure(f"{FILLER}({entry.text.replace('*', '')})")
        assert found is not None
        if found.terms != ((entry.text,) if entry.weight else ()):
            wrong[entry.text] = found.terms
    assert wrong == {}


def test_wildcards_of_two_weights_do_not_overlap() -> None:
    entries = parse_lexicon(lexical.LEXICON.read_text(encoding="utf-8"), "lexicon.txt")
    overlapping = [
        (wide.text, narrow.text)
        for wide in entries
        if any(wide.open)
        for narrow in entries
        if narrow.weight != wide.weight and len(narrow.words) == len(wide.words)
        if wide.matches(list(narrow.words), 0)
    ]
    assert overlapping == []


def test_framings_are_balanced() -> None:
    """Framings of the left and of the right are as many, within a tenth, in each section."""
    blocks = re.split(r"^# ", lexical.LEXICON.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sizes = {block.partition("\n")[0]: block.count(",") for block in blocks}
    for framings in ("framings used by the", "milder framings used by the"):
        assert 0.9 < sizes[f"{framings} left"] / sizes[f"{framings} right"] < 1.1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[strong]\nShameful", 2),
        ("[strong]\nshameful\n\n[mild]\nshameful", 5),
        ("[strong]\nso-called", 2),
        ("[strong]\nab*", 2),
        ("[strong]\n# fine\ngood,, bad", 3),
        ("[severe]\nbad", 1),
        ("[strong\nbad", 1),
        ("bad", 1),
    ],
)
def test_malformed_line_is_named(text: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"^terms\.txt:{line}: "):
        parse_lexicon(text, "terms.txt")


def test_sha256_is_that_of_the_file() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", lexical.lexicon_sha256())
