"""Phrase banks of the bias world: what an article is made of. Hand-written, and blind to `mst_evals.lexical`.

An article is a lead, a fact sentence, two perspectives and a close. Each of these slots is neutral, mildly loaded or
strongly loaded, on the left or on the right; the banks of the two sides have the same sizes. Every lead names place,
body, action and policy, and every fact sentence the cost and the month, so that the given facts and the slant are
independent of each other. The banks were written before the lexical measure existed and are not fitted to it: a
measure that found all of them would only find its own word list.
"""

from dataclasses import dataclass
from typing import Literal

Side = Literal["left", "right"]
Level = Literal["mild", "strong"]

STATES = (
    "Ohio Texas Maine Oregon Iowa Utah Nevada Georgia Florida Kansas Vermont Idaho Montana Alabama Arizona Delaware "
    "Indiana Kentucky Louisiana Maryland Michigan Missouri Nebraska Oklahoma Tennessee Virginia Wisconsin Wyoming "
    "Colorado Illinois Minnesota Alaska Hawaii Arkansas California Connecticut Washington Pennsylvania"
).split()
CITIES = (
    "Boston Denver Austin Seattle Chicago Dallas Houston Phoenix Atlanta Portland Memphis Tampa Omaha Tulsa Oakland "
    "Detroit Cleveland Newark Buffalo Toledo Lincoln Raleigh Tucson Fresno Mesa Boise Reno Salem Dayton Akron"
).split()
STATE_BODIES = ("Senate", "House", "Assembly", "Legislature", "Governor")
CITY_BODIES = ("Council", "Mayor", "Commission", "Board")
ACTIONS = ("debate", "approve", "delay", "propose", "review", "reject", "advance", "announce")
MONTHS = (
    "January February March April May June July August September October November December"
).split()  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """A policy and what each camp says it would do (completing "it would ...").

    Attributes:
        name: As it stands in headline and article.
        domain: Policy area.
        backed_by: The side that supports it.
        left: Claims of the left.
        right: Claims of the right.
    """

    name: str
    domain: str
    backed_by: Side
    left: tuple[str, str]
    right: tuple[str, str]

    def claims(self, side: Side) -> tuple[str, str]:
        """The claims of one side."""
        return self.left if side == "left" else self.right


POLICIES = (
    Policy("minimum wage bill", "labor", "left", ("raise pay for cooks and cleaners", "help workers cover the rent"),
           ("lead some shops to cut hours", "raise prices at small stores")),
    Policy("rent control plan", "housing", "left", ("keep renters in their homes", "slow the rise of rents"),
           ("reduce the supply of housing", "make repairs harder to pay for")),
    Policy("carbon tax", "environment", "left", ("reduce pollution near schools", "slow the warming of the climate"),
           ("raise fuel bills for drivers", "send factories to other states")),
    Policy("border security bill", "immigration", "right", ("separate some parents from their children",
           "spend money on walls instead of courts"), ("reduce smuggling", "protect towns near the border")),
    Policy("gun permit rule", "guns", "left", ("reduce shootings in cities", "keep guns from people with a record"),
           ("burden legal gun owners", "limit the right to self-defense")),
    Policy("school voucher program", "education", "right", ("draw money away from public schools",
           "leave poorer students behind"), ("give parents a choice of school", "encourage schools to compete")),
    Policy("police budget increase", "public safety", "right", ("take money from social programs",
           "lead to more arrests for minor offenses"), ("reduce crime downtown", "bring a faster response to calls")),
    Policy("health insurance expansion", "health care", "left", ("cover people who have no doctor",
           "lower medical debt"), ("raise premiums for many", "make waiting lists longer")),
    Policy("paid leave act", "labor", "left", ("let parents care for newborns", "keep sick workers at home"),
           ("add costs for small firms", "leave shifts without staff")),
    Policy("voter ID law", "elections", "right", ("keep some poor people from voting", "lengthen lines at the polls"),
           ("make fraud harder", "raise trust in elections")),
    Policy("steel tariff", "trade", "right", ("raise prices for shoppers", "invite tariffs from other countries"),
           ("save jobs at local plants", "answer low-priced imports")),
    Policy("drug treatment bill", "public safety", "left", ("treat addiction as an illness",
           "reduce crowding in jails"), ("shorten terms for repeat offenders", "bring more drug sales to streets")),
    Policy("student loan plan", "education", "left", ("free graduates from debt", "help nurses and teachers"),
           ("make others pay for the loans", "reward colleges that raise tuition")),
    Policy("corporate tax cut", "taxes", "right", ("leave less money for schools and clinics",
           "favor large investors"), ("attract new employers", "let firms hire more people")),
    Policy("bus funding measure", "transport", "left", ("connect poor areas to jobs", "reduce traffic and smog"),
           ("pay for buses with few riders", "raise fees on drivers")),
    Policy("offshore drilling permit", "energy", "right", ("risk oil spills on beaches", "harm fish and birds"),
           ("lower the price of gas", "create energy jobs")),
    Policy("solar farm project", "energy", "left", ("produce clean power", "lower electric bills in time"),
           ("take land from farmers", "make the grid less stable")),
    Policy("union rights bill", "labor", "left", ("give workers a voice", "raise wages in warehouses"),
           ("make workers pay dues", "drive employers away")),
    Policy("land use reform", "housing", "right", ("open parks to developers", "weaken wetland rules"),
           ("speed up home building", "restore the rights of owners")),
    Policy("visa reform bill", "immigration", "left", ("let families stay together", "fill jobs in hospitals"),
           ("lower wages for local workers", "strain local services")),
    Policy("parental rights act", "education", "right", ("limit what teachers can say", "isolate some students"),
           ("let parents read lesson plans", "keep politics out of class")),
    Policy("plastic bag ban", "environment", "left", ("keep rivers clean", "protect sea turtles"),
           ("inconvenience shoppers", "raise costs for grocers")),
    Policy("prison reform bill", "public safety", "left", ("shorten long sentences",
           "help people find work after prison"), ("release people too early", "leave victims of crime unheard")),
    Policy("welfare work rule", "welfare", "right", ("take food aid from some children",
           "cut off people who are ill"), ("move people into jobs", "save public money")),
)  # fmt: skip

NEUTRAL_LEADS = (
    "The {place} {body} {acted} the {policy} this week.",
    "Members of the public were present when the {place} {body} {acted} the {policy}.",
    "The {policy} was {acted} by the {place} {body} this week.",
    "This week, the {place} {body} {acted} the {policy}.",
    "The {place} {body} {acted} the {policy} after a session of two hours.",
)
NEUTRAL_FACTS = (
    "The proposal would cost ${cost} million and start in {month}.",
    "It is due to begin in {month} at a cost of ${cost} million.",
    "Officials put the cost at ${cost} million, with a start in {month}.",
    "Starting in {month}, it would cost ${cost} million.",
    "A summary lists a cost of ${cost} million and a start in {month}.",
)
SUPPORT = (
    "Supporters say it would {claim}.",
    "Those in favor argue that it would {claim}.",
    "Backers expect it to {claim}.",
    "According to its sponsors, it would {claim}.",
)
OPPOSITION = (
    "Opponents say it would {claim}.",
    "Those against it argue that it would {claim}.",
    "Skeptics expect it to {claim}.",
    "According to its critics, it would {claim}.",
)
NEUTRAL_CLOSES = (
    "A final vote is expected before {month}.",
    "The {body} plans a public hearing next week.",
    "A report on the effects is due within a year of {month}.",
    "Both parties will meet again to discuss the details.",
    "The text can be read on the website of the clerk.",
)

LEADS: dict[tuple[Side, Level], tuple[str, ...]] = {
    ("left", "mild"): (
        "After years of growing inequality, the {place} {body} {acted} the {policy} this week.",
        "The {place} {body} {acted} the {policy}, a question of basic fairness for working families.",
        "With powerful interests watching, the {place} {body} {acted} the {policy} this week.",
        "Families who struggle to make ends meet waited as the {place} {body} {acted} the {policy}.",
        "Grassroots advocates filled the hall when the {place} {body} {acted} the {policy}.",
    ),
    ("right", "mild"): (
        "After years of creeping regulation, the {place} {body} {acted} the {policy} this week.",
        "The {place} {body} {acted} the {policy}, a question of common sense for hardworking taxpayers.",
        "With powerful bureaucrats watching, the {place} {body} {acted} the {policy} this week.",
        "Families who are tired of overreach waited as the {place} {body} {acted} the {policy}.",
        "Law-abiding citizens filled the hall when the {place} {body} {acted} the {policy}.",
    ),
    ("left", "strong"): (
        "Greedy corporations had their claws out as the {place} {body} {acted} the {policy} this week.",
        "In a shameful display of who really owns our politics, the {place} {body} {acted} the {policy}.",
        "The {place} {body} {acted} the {policy} while right-wing extremists peddled their usual lies.",
        "The {place} {body} {acted} the {policy} in a system rigged by billionaires for billionaires.",
        "Working people have been trampled for decades, and now the {place} {body} {acted} the {policy}.",
        "Big business bullied and bribed its way through the room as the {place} {body} {acted} the {policy}.",
    ),
    ("right", "strong"): (
        "Radical leftists had their claws out as the {place} {body} {acted} the {policy} this week.",
        "In a disgraceful display of what big government has become, the {place} {body} {acted} the {policy}.",
        "The {place} {body} {acted} the {policy} while left-wing extremists peddled their usual propaganda.",
        "The {place} {body} {acted} the {policy} in a system corrupted by woke elites.",
        "Decent people have been mocked for decades, and now the {place} {body} {acted} the {policy}.",
        "Socialist agitators bullied their way through the room as the {place} {body} {acted} the {policy}.",
    ),
}
FACTS: dict[tuple[Side, Level], tuple[str, ...]] = {
    ("left", "mild"): (
        "It would cost ${cost} million from {month}, a modest sum beside the profits of the largest firms.",
        "The ${cost} million, due from {month}, should be judged by what it does for the vulnerable.",
        "In {month}, ${cost} million would be at stake, and the wealthiest have yet to pay their fair share.",
        "At ${cost} million from {month}, it touches the gap between the privileged and everyone else.",
        "Starting in {month}, it would cost ${cost} million, a price that privileged donors often exaggerate.",
    ),
    ("right", "mild"): (
        "It would cost ${cost} million from {month}, a heavy sum beside the budget of an ordinary family.",
        "The ${cost} million, due from {month}, should be judged by what it does for job creators.",
        "In {month}, ${cost} million would be at stake, and bureaucrats have yet to tighten their belts.",
        "At ${cost} million from {month}, it touches the gap between entrenched insiders and everyone else.",
        "Starting in {month}, it would cost ${cost} million, a price that activist groups often downplay.",
    ),
    ("left", "strong"): (
        "It would cost ${cost} million from {month}, crumbs beside what tax-dodging tycoons steal from us.",
        "The ${cost} million, due from {month}, exposes the obscene greed of the ruling class.",
        "In {month}, ${cost} million will be spent, and heartless plutocrats are already whining.",
        "At ${cost} million from {month}, it lays bare the cruelty of an economy built on exploitation.",
        "Starting in {month}, it would cost ${cost} million, and Wall Street vultures want every cent.",
        "Only a callous servant of the rich could look at ${cost} million from {month} and shrug.",
    ),
    ("right", "strong"): (
        "It would cost ${cost} million from {month}, small change beside what bloated agencies steal from us.",
        "The ${cost} million, due from {month}, exposes the insane waste of the ruling class.",
        "In {month}, ${cost} million will be spent, and arrogant bureaucrats are already gloating.",
        "At ${cost} million from {month}, it lays bare the lunacy of an economy run by Marxists.",
        "Starting in {month}, it would cost ${cost} million, and freeloaders want every cent.",
        "Only a reckless servant of the nanny state could look at ${cost} million from {month} and shrug.",
    ),
}
PERSPECTIVES: dict[tuple[Side, Level], tuple[str, ...]] = {
    ("left", "mild"): (
        "It would {claim}, as people on the front lines know too well.",
        "For the most vulnerable, what matters is simple: it would {claim}.",
        "Champions of social justice rightly point out that it would {claim}.",
        "Too many leaders ignore that it would {claim}.",
        "It would {claim}, a truth that corporate lobbyists prefer to hide.",
    ),
    ("right", "mild"): (
        "It would {claim}, as people on Main Street know too well.",
        "For law-abiding families, what matters is simple: it would {claim}.",
        "Defenders of liberty rightly point out that it would {claim}.",
        "Too many elites ignore that it would {claim}.",
        "It would {claim}, a truth that liberal activists prefer to hide.",
    ),
    ("left", "strong"): (
        "It will {claim}, and no sane person believes the fascist talking points to the contrary.",
        "It would {claim}, whatever the racist demagogues of the far right scream.",
        "Soulless executives know it would {claim}, and they could not care less.",
        "Make no mistake: it would {claim}, and hateful reactionaries are terrified of that fact.",
        "It would {claim}, a moral outrage that cowardly politicians refuse to face.",
        "The corporate cartel lies about it, yet it would {claim}.",
    ),
    ("right", "strong"): (
        "It will {claim}, and no sane person believes the communist talking points to the contrary.",
        "It would {claim}, whatever the hysterical radicals of the far left scream.",
        "Smug elites know it would {claim}, and they could not care less.",
        "Make no mistake: it would {claim}, and America-hating activists are terrified of that fact.",
        "It would {claim}, a moral disgrace that spineless politicians refuse to face.",
        "The corrupt media lies about it, yet it would {claim}.",
    ),
}
CLOSES: dict[tuple[Side, Level], tuple[str, ...]] = {
    ("left", "mild"): (
        "Ordinary people deserve a voice before the powerful decide for them.",
        "The vote will show whether leaders stand with working families.",
        "Progress has been held back for too long.",
        "Many hope that compassion will win over profit this time.",
        "Communities left behind cannot afford more empty promises.",
    ),
    ("right", "mild"): (
        "Ordinary people deserve a voice before the bureaucrats decide for them.",
        "The vote will show whether leaders stand with hardworking taxpayers.",
        "Freedom has been chipped away for too long.",
        "Many hope that traditional values will win over fashion this time.",
        "Families squeezed by mandates cannot afford more empty promises.",
    ),
    ("left", "strong"): (
        "It is time to rise up and crush the corrupt oligarchs who bleed us dry.",
        "History will condemn the bigots and cowards who stand in the way of justice.",
        "Every vote for the rich is a vicious attack on the poor.",
        "The far right wants to drag us back to the dark ages, and it must be stopped.",
        "Anything less would be a betrayal of workers and a gift to corporate parasites.",
        "Ruthless profiteers have blood on their hands, and the people will not forget it.",
    ),
    ("right", "strong"): (
        "It is time to rise up and crush the corrupt tyrants who bleed us dry.",
        "History will condemn the traitors and cowards who stand in the way of freedom.",
        "Every vote for socialism is a vicious attack on the family.",
        "The radical left wants to destroy everything we hold dear, and it must be stopped.",
        "Anything less would be a betrayal of our faith and a gift to open-borders fanatics.",
        "Power-mad bureaucrats are strangling this country, and patriots will not forget it.",
    ),
}
