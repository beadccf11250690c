"""Topics of the project beside the same topics reworded by hand, in three degrees: what a near-duplicate is."""

# swap: other names and figures in the same sentences. reword: sentences turned round, words replaced. anew: the same
# facts, told by somebody else. Each as (degree, topic, reworded topic).
REWORDED = [
    (
        "swap",
        (
            "Scranton teachers walk out over a higher family deductible About 820 teachers left classrooms after "
            "the district proposed raising the family deductible from $600 to $3,000. The school board notes its "
            "health bill has climbed 41 percent in four years and that most taxpayers pay more; the union "
            "contends it gave up raises in two past contracts to keep the plan."
        ),
        (
            "Allentown teachers walk out over a higher family deductible About 760 teachers left classrooms after"
            " the district proposed raising the family deductible from $500 to $2,800. The school board notes its"
            " health bill has climbed 37 percent in three years and that most taxpayers pay more; the union "
            "contends it gave up raises in two past contracts to keep the plan."
        ),
    ),
    (
        "swap",
        (
            "Should grandparents be paid for babysitting, Maine panel asks A study commission is split 6 to 5 on "
            "letting subsidies of $190 a week follow a child to relatives. Fishing families on the coast favor it"
            " because night shifts match no center's hours; licensed providers contend that money without "
            "inspection invites fraud."
        ),
        (
            "Should grandparents be paid for babysitting, Vermont panel asks A study commission is split 7 to 4 "
            "on letting subsidies of $170 a week follow a child to relatives. Farming families in the north favor"
            " it because night shifts match no center's hours; licensed providers contend that money without "
            "inspection invites fraud."
        ),
    ),
    (
        "swap",
        (
            "Montana lawmaker would ban hidden game cameras on public land Hunters use thousands of cellular "
            "cameras to follow elk; outfitters say that clients pay $9,000 partly for that knowledge. A "
            "bowhunters' club calls live tracking unfair chase and backs the ban in October. Wardens, who employ "
            "cameras against poachers, want an exemption that ranchers have asked for too."
        ),
        (
            "Wyoming senator would ban hidden game cameras on public land Hunters use hundreds of cellular "
            "cameras to follow mule deer; outfitters say that clients pay $7,500 partly for that knowledge. A "
            "bowhunters' club calls live tracking unfair chase and backs the ban in September. Wardens, who "
            "employ cameras against poachers, want an exemption that ranchers have asked for too."
        ),
    ),
    (
        "swap",
        (
            "South Dakota filling stations fight deadline for higher ethanol blend Every station would have to "
            "offer E15 by January 2028 under a measure that passed the House 41-28. Corn growers expect demand "
            "for 60 million more bushels. Independent owners in towns of a few hundred people say that new tanks "
            "cost $250,000 apiece and that customers can already drive to a chain."
        ),
        (
            "Nebraska filling stations fight deadline for higher ethanol blend Every station would have to offer "
            "E15 by July 2029 under a measure that passed the committee 6-3. Corn growers expect demand for 45 "
            "million more bushels. Independent owners in towns of a few hundred people say that new tanks cost "
            "$180,000 apiece and that customers can already drive to a chain."
        ),
    ),
    (
        "reword",
        (
            "Nurses at Alaska clinics may give shots without state sign-off, court says Ruling 4-1 that tribal "
            "health bodies set their own vaccine protocols under a federal compact, the state supreme court "
            "rejected state attorneys' plea for one standard and a shared registry. Clinics in 26 Yukon-Kuskokwim"
            " villages say waiting for Juneau cost them six weeks in the last whooping cough wave."
        ),
        (
            "Alaska clinic nurses can give vaccines without state approval, court rules In a 4-1 decision the "
            "state's high court said tribal health organizations may write their own shot protocols under a "
            "federal agreement. The state's lawyers had asked for a single standard and one shared registry. "
            "Clinics in 26 villages of the Yukon-Kuskokwim area said that waiting on Juneau had cost six weeks "
            "during the latest whooping cough outbreak."
        ),
    ),
    (
        "reword",
        (
            "Chaplain's prayer in Texas veterans home prompts complaint, then rally More than 400 people rallied "
            "in El Paso to bring back a loudspeaker prayer that the administrator had moved to a side room after "
            "one resident objected. The land office, which owns the home, has given the attorney general 60 days "
            "for an opinion on whether both can be accommodated."
        ),
        (
            "Texas veterans home prayer by chaplain draws a complaint and a rally After one resident objected, "
            "the administrator moved a prayer from the loudspeaker to a side room, and over 400 people in El Paso"
            " rallied to bring it back. The land office, owner of the home, wants the attorney general's opinion "
            "within 60 days on whether both sides can be accommodated."
        ),
    ),
    (
        "reword",
        (
            "Battery storage moratorium extended in Long Island town after warehouse fire The Brookhaven board "
            "kept its ban for six more months, 5-2, though the fire was elsewhere and injured no one. Volunteer "
            "chiefs want water supply and training funded first; the island's grid operator says it is 400 "
            "megawatts short of what state law requires for 2030."
        ),
        (
            "Long Island town extends ban on battery storage after fire at warehouse By 5-2 the Brookhaven board "
            "kept its moratorium another six months although the fire happened elsewhere and nobody was hurt. "
            "Volunteer fire chiefs ask for funding for training and water supply first. The grid operator for the"
            " island says it is short by 400 megawatts of what state law demands for 2030."
        ),
    ),
    (
        "reword",
        (
            "Eleventh Circuit reinstates Florida teacher's suit over removed classroom flag Told to take down a "
            "service-branch banner that a parent called political, she may now go to trial because two judges "
            "found school rules vague; the third warned that principals will face suit over every poster. On a "
            "veterans' legal fund's advice she had refused $7,500 from the district."
        ),
        (
            "Florida teacher's suit over flag taken from classroom revived by Eleventh Circuit A teacher who was "
            "told to remove a service-branch banner after a parent called it political may go to trial, since two"
            " judges found the school's rules vague. A third judge warned that principals will be sued over each "
            "poster. She had turned down $7,500 from the district on the advice of a veterans' legal fund."
        ),
    ),
    (
        "reword",
        (
            "State climate office in Georgia would move under agriculture commissioner Peanut growers say "
            "forecasts will at last serve fields if 9 scientists and a rainfall network change departments, as "
            "the Senate voted 31-24 to do. The outgoing director, speaking for himself, noted that two-thirds of "
            "requests come from cities, utilities and the Army at Fort Stewart."
        ),
        (
            "Georgia Senate moves state climate office under the agriculture commissioner The 31-24 vote would "
            "shift 9 scientists and a rainfall network to another department, which peanut growers say will "
            "finally make forecasts serve the fields. Two-thirds of requests come from cities, utilities and the "
            "Army at Fort Stewart, the outgoing director pointed out, speaking for himself."
        ),
    ),
    (
        "reword",
        (
            "Newark to charge hospitals and universities for services by agreement or law Exempt institutions "
            "hold 39 percent of land value, and the council, which wants $18 million a year, threatens to contest"
            " their status. Hospital executives list $210 million in unpaid care; an Ironbound tenants' group "
            "replies that garbage trucks run on cash."
        ),
        (
            "Newark wants hospitals and universities to pay for city services The council, seeking $18 million a "
            "year, says it will contest the tax status of exempt institutions that refuse an agreement; they hold"
            " 39 percent of the land value. Hospitals list unpaid care of $210 million, and a tenants' group in "
            "the Ironbound says that garbage trucks run on cash."
        ),
    ),
    (
        "anew",
        (
            "Toddler ratio rule splits Idaho day care owners Six two-year-olds to an adult would become eight, "
            "enough, say operators of rural centers, to reopen rooms now closed for want of staff. Unsafe, "
            "answered 41 Boise teachers in a letter that described diapering one child while seven others are "
            "near the stairs."
        ),
        (
            "Boise teachers oppose larger toddler groups in Idaho day care In a letter, 41 teachers described "
            "changing one diaper while seven more children play by a staircase and said that the plan is not "
            "safe. It lets one adult watch eight two-year-olds, up from six. Owners in small towns say the change"
            " would let them open rooms that stand empty because they cannot find workers."
        ),
    ),
    (
        "anew",
        (
            "Sheriff's race in Berks County, Pennsylvania, turns on cooperation with federal agents The incumbent"
            " ended a jail partnership and points to a 12 percent rise in crime tips from Spanish and Vietnamese "
            "speakers. His challenger, a retired gang detective born in Colombia, promises to restart it on day "
            "one for anyone charged with a violent felony."
        ),
        (
            "Help for federal agents is the issue as Berks County picks a sheriff Tips about crime from people "
            "who speak Spanish or Vietnamese are up 12 percent since the sheriff left a partnership with "
            "immigration officers at the jail, he says. The former gang detective who wants his job, an immigrant"
            " from Colombia, would bring it back on his first day for those accused of violent felonies."
        ),
    ),
    (
        "anew",
        (
            "Secret ballot or signed cards: Michigan cannabis growers test the law A Lansing grower shut its "
            "books to organizers despite a state license clause that requires labor peace and that was upheld "
            "last month. Forty growers want it gone on appeal, and the food workers' union says 1,300 trimmers "
            "joined because of it."
        ),
        (
            "Michigan marijuana firms challenge rule that lets workers organize by card Growers have appealed a "
            "ruling that kept in place a condition of their licenses requiring labor peace, and 40 of them would "
            "like it repealed. A Lansing company cited the clause when it kept organizers from its records. Some "
            "1,300 trimmers joined thanks to the rule, according to the union of food workers."
        ),
    ),
    (
        "anew",
        (
            "Montana regulators' aides may not join utilities for a year under draft Written after one power "
            "company hired three commission aides, the rule would also keep them off lobbying forms for two "
            "years, a limit the company says will drive young Montanans out of state. Wind developers and a "
            "ratepayer council, allies on the main text, disagree on whether unpaid internships count."
        ),
        (
            "Draft rule in Montana would stop commission staff from going to work for power companies A utility "
            "recruited three aides of the regulators, and now the agency may impose a year's wait before such "
            "jobs and two years before lobbying. The utility predicts that the young will leave the state for "
            "work. Ratepayer advocates and wind firms support most of the draft but differ over internships "
            "without pay."
        ),
    ),
    (
        "anew",
        (
            "Leaked contract shows virtual charter paying $390 for each student who re-enrolls The Georgia "
            "operator's bonus went to call center staff in another state. Company officers say calls reduce "
            "dropout, a claim two counselors dispute in affidavits, while commissioners who oversee the "
            "7,600-pupil school want the clause removed before they vote on renewal."
        ),
        (
            "Online charter in Georgia gave call workers a bonus for bringing pupils back Two counselors swore "
            "that the phone calls did not keep students from leaving, as managers claim. The contract, which was "
            "leaked, pays $390 a head to staff outside the state. Members of the commission over the school, "
            "which has 7,600 pupils, would strike that provision ahead of a renewal vote."
        ),
    ),
    (
        "anew",
        (
            "Maine lobster cooperative's veteran quota sparks licensing feud Apprentices who waited 12 years have"
            " sued over a 5 percent reserve of new trap licenses for former service members, who they say "
            "leapfrog the line. Only 31 veterans have used it, the marine commissioner notes, and a Stonington "
            "harbormaster proposes a lottery."
        ),
        (
            "Lawsuit targets share of Maine trap licenses set aside for those who served People on the apprentice"
            " list for a dozen years say that ex-soldiers jump ahead of them in lobstering. One new permit in "
            "twenty is held back. The state's marine commissioner replies that just 31 have been taken, and the "
            "harbormaster at Stonington would draw lots."
        ),
    ),
    (
        "anew",
        (
            "Sheriff's drone responder program survives budget cut in Fresno County Supervisors restored $1.8 "
            "million after the sheriff said that drones reach 911 calls in two minutes. Farmworker groups wanted "
            "a rule against filming at labor camps and did not get it. The one supervisor to vote no, a former "
            "deputy, said that the money would have paid for nine patrol positions."
        ),
        (
            "Fresno County keeps money for drones that answer emergency calls The sheriff, whose machines arrive "
            "two minutes after a call, got $1.8 million back from the board. Only a former deputy opposed it; he "
            "would sooner hire nine officers to patrol. A request by farm labor advocates to forbid filming of "
            "workers' camps failed."
        ),
    ),
    (
        "anew",
        (
            "Export ban on older chip tools divides Idaho and Arizona suppliers Selling machines for chips larger"
            " than 28 nanometers brings a Boise maker 31 percent of its revenue, all of it at risk under a "
            "Commerce proposal. Phoenix-area rivals with newer tools pushed for the rule, arguing that older "
            "chips guide missiles as well as dishwashers."
        ),
        (
            "Idaho and Arizona companies at odds over plan to block sales of older chip equipment A third of "
            "sales at a firm in Boise could vanish if the Commerce Department bars exports of tools for chips "
            "above 28 nanometers. Competitors near Phoenix that build more modern gear favor the rule, since, "
            "they say, the same old chips that run dishwashers also steer missiles."
        ),
    ),
    (
        "anew",
        (
            "Meals on Wheels routes shrink in Appalachian Ohio Drivers in five hill counties staged a slow convoy"
            " to the statehouse over a formula that counts people past 60 instead of miles driven and took "
            "$260,000 from the Gallipolis program. Suburbs around Columbus, which gained, respond that they had "
            "the longer waiting lists."
        ),
        (
            "Ohio's hill counties lose meal deliveries for the old under new formula Gallipolis is out $260,000 "
            "because money now follows the number of residents older than 60, not the distance driven. Volunteers"
            " from five counties drove slowly to Columbus in protest, while the suburbs there, which came out "
            "ahead, point to their own longer lists of people waiting."
        ),
    ),
    (
        "anew",
        (
            "Rural hospitals plead for delay in federal rule on diagnostic software From October, tools that read"
            " scans must be tested yearly on local patients at about $45,000 each, a step that safety groups "
            "sought after fractures were missed in darker-skinned and older people. Small hospitals in the "
            "Dakotas, without a radiologist for 100 miles, fear that the true alternative is no second reading at"
            " all."
        ),
        (
            "Small-town hospitals want more time before yearly tests of scan-reading software The federal "
            "requirement begins in October and costs some $45,000 per tool. It came after programs overlooked "
            "broken bones in older patients and those with darker skin, which alarmed safety groups. Dakota "
            "hospitals say their nearest radiologist is 100 miles off and that without the tool nobody would "
            "check at all."
        ),
    ),
]
