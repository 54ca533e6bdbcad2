"""Words and phrases for the rules of ``edits``, written for this project."""

__all__ = [
    "ABBREVIATIONS",
    "ADVERBS",
    "CONTRACTIONS",
    "DAYS",
    "FILLERS",
    "MODIFIERS",
    "MONTHS",
    "NUMBERS",
    "OPPOSITES",
    "ORDINALS",
    "QUANTIFIERS",
    "REPHRASED",
    "TENS",
    "UNITS",
    "words",
]


def words(text: str) -> list[str]:
    """Return the words of a line."""
    return text.split()


NUMBERS = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
TENS = dict(
    zip(
        (30, 40, 50, 60, 70, 80, 90),
        words("thirty forty fifty sixty seventy eighty ninety"),
        strict=True,
    )
)
ORDINALS = words("first second third fourth fifth sixth seventh eighth ninth tenth")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words(
    "January February March April May June July August September October November December"
)
UNITS = (
    ("seconds", "minutes", "hours", "days", "weeks", "months", "years", "decades"),
    ("second", "minute", "hour", "day", "week", "month", "year", "decade"),
    ("kilometers", "miles", "meters", "feet", "inches", "centimeters", "yards"),
    ("km", "m", "cm", "mm"),
    ("kilograms", "grams", "pounds", "ounces", "tons"),
    ("kg", "g", "mg", "lbs"),
    ("dollars", "euros", "pounds", "cents"),
    ("liters", "gallons", "milliliters", "cups"),
    ("thousand", "million", "billion", "hundred"),
    ("am", "pm"),
    ("KB", "MB", "GB", "TB"),
    ("mother", "father", "sister", "brother", "uncle", "aunt"),
    ("north", "south", "east", "west"),
    ("northern", "southern", "eastern", "western"),
    ("yesterday", "today", "tomorrow"),
    ("morning", "afternoon", "evening"),
    ("spring", "summer", "autumn", "winter"),
    ("breakfast", "lunch", "dinner"),
    ("he", "she", "they"),
    ("his", "her", "their", "my"),
)
"""Groups of words; replacing one by another of its group changes the meaning."""

QUANTIFIERS = (
    ("all", "some", "no"),
    ("every", "no"),
    ("many", "few"),
    ("most", "few"),
    ("always", "never", "sometimes"),
    ("often", "rarely"),
    ("everyone", "nobody"),
    ("everything", "nothing"),
    ("somebody", "nobody"),
    ("something", "nothing"),
    ("both", "neither"),
    ("must", "may"),
    ("can", "cannot"),
    ("and", "or"),
    ("only", "also"),
)
OPPOSITES = words(
    "up/down on/off before/after with/without more/less most/least over/under above/below "
    "inside/outside start/stop starts/stops started/stopped early/late earlier/later first/last "
    "include/exclude includes/excludes included/excluded including/excluding add/remove "
    "adds/removes added/removed adding/removing increase/decrease increases/decreases "
    "increased/decreased increasing/decreasing win/lose wins/loses won/lost buy/sell buys/sells "
    "bought/sold buying/selling love/hate loves/hates loved/hated accept/refuse accepts/refuses "
    "accepted/refused enable/disable enables/disables enabled/disabled allow/forbid "
    "allows/forbids allowed/forbidden hire/fire hired/fired arrive/leave arrived/left "
    "find/lose found/lost enter/exit push/pull open/close opens/closes opened/closed open/closed "
    "begin/end begins/ends began/ended teach/learn remember/forget remembered/forgot "
    "improve/worsen improved/worsened rise/fall rises/falls rose/fell support/oppose "
    "supports/opposes supported/opposed install/uninstall connect/disconnect "
    "connected/disconnected true/false right/wrong good/bad better/worse best/worst big/small "
    "bigger/smaller large/small larger/smaller high/low higher/lower highest/lowest long/short "
    "longer/shorter old/young older/younger new/old hot/cold fast/slow faster/slower easy/hard "
    "easier/harder cheap/expensive rich/poor strong/weak stronger/weaker full/empty safe/dangerous "
    "happy/sad clean/dirty public/private possible/impossible legal/illegal available/unavailable "
    "male/female man/woman men/women boy/girl boys/girls king/queen husband/wife front/back "
    "left/right top/bottom near/far north/south success/failure ally/enemy friend/enemy "
    "like/dislike likes/dislikes agree/disagree agrees/disagrees agreed/disagreed appear/disappear "
    "appeared/disappeared upper/lower major/minor maximum/minimum positive/negative "
    "present/absent alive/dead guilty/innocent giving/taking send/receive sent/received "
    "borrow/lend build/destroy built/destroyed create/delete created/deleted show/hide "
    "shown/hidden lock/unlock locked/unlocked attack/defend attacked/defended upload/download "
    "encourage/discourage approve/reject approved/rejected confirm/deny confirmed/denied "
    "victory/defeat profit/loss import/export imports/exports question/answer cause/prevent "
    "caused/prevented succeed/fail succeeded/failed saved/wasted gained/lost married/divorced"
)
CONTRACTIONS = (
    "don't/do not doesn't/does not didn't/did not isn't/is not aren't/are not wasn't/was not "
    "weren't/were not won't/will not wouldn't/would not can't/cannot couldn't/could not "
    "shouldn't/should not haven't/have not hasn't/has not hadn't/had not i'm/i am it's/it is "
    "he's/he is she's/she is that's/that is there's/there is what's/what is where's/where is "
    "who's/who is you're/you are we're/we are they're/they are i've/i have you've/you have "
    "we've/we have they've/they have i'll/i will you'll/you will he'll/he will she'll/she will "
    "it'll/it will we'll/we will they'll/they will i'd/i would let's/let us"
)
ABBREVIATIONS = (
    "%| percent; km| kilometers; kg| kilograms; USA|United States; US|United States; "
    "UK|United Kingdom; EU|European Union; UN|United Nations; NYC|New York City; TV|television; "
    "photo|photograph; info|information; app|application; phone|telephone; bike|bicycle; "
    "&|and; Mr.|Mister; Dr.|Doctor; vs|versus; approx.|approximately; e.g.|for example; "
    "Jan|January; Feb|February; Aug|August; Sept|September; Oct|October; Nov|November; "
    "Dec|December; ok|okay; exam|examination; fridge|refrigerator; gym|gymnasium; ad|advertisement"
)
REPHRASED = (
    "because of|due to; in order to|to; a lot of|lots of; a lot of|many; as well as|and also; "
    "at the moment|right now; right now|currently; about|approximately; about|around; for instance|"
    "for example; want to|would like to; wants to|would like to; need to|have to; needs to|has to; "
    "must|have to; going to|gonna; is able to|can; are able to|can; was able to|could; however|"
    "nevertheless; but|yet; because|since; although|even though; while|whereas; often|frequently; "
    "also|too; also|as well; maybe|perhaps; nearly|almost; quickly|rapidly; very|extremely; "
    "begin|start; begins|starts; began|started; end|finish; help|assist; buy|purchase; bought|"
    "purchased; get|obtain; gets|obtains; show|display; shows|displays; ask for|request; "
    "asked for|requested; look for|search for; looking for|searching for; find out|discover; "
    "found out|discovered; set up|establish; give up|quit; talk about|discuss; talked about|"
    "discussed; put off|postpone; put off|postponed; get rid of|remove; come back|return; "
    "came back|returned; come across|encounter; carry out|perform; carried out|performed; "
    "take part in|participate in; took part in|participated in; think about|consider; go on|"
    "continue; went on|continued; keep|continue to; such as|like; until|till; near|close to; "
    "next to|beside; children|kids; people|persons; job|position; big|large; little|small; "
    "smart|intelligent; whole|entire; hard|difficult; quick|fast; sick|ill; angry|mad; "
    "glad|happy; afraid|scared; beautiful|gorgeous; movie|film; store|shop; trash|garbage; "
    "house|home; kind of|type of; some of the|several of the; every year|annually; every day|"
    "daily; each week|weekly; last|final; in the beginning|at first; finally|in the end; "
    "how do i|how can i; how to|how do you; what is|what's; i am looking for|i need; "
    "can you|could you; thanks|thank you; hi|hello; is called|is named; was born in|"
    "is a native of; died in|passed away in; located in|situated in; consists of|is made up of; "
    "is known as|is called; was founded in|was established in; is part of|belongs to; "
    "in spite of|despite; instead of|rather than; with regard to|regarding; prior to|before; "
    "subsequent to|after; on top of|on; a number of|several; the majority of|most; "
    "as soon as possible|quickly; in the middle of|in the centre of; what time|when; "
    "for free|at no cost; no longer|not any more; in addition|additionally; at least|"
    "not less than; at most|not more than; more than|over; less than|under; twice|two times; "
    "half of|50 % of; a dozen|twelve; a couple of|two; a decade|ten years; a fortnight|two weeks; "
    "noon|12 pm; midnight|12 am; a century|one hundred years; a quarter of|25 % of"
)
"""``this|that``: either phrase may replace the other."""

FILLERS = ("really", "actually", "basically", "please", "just", "well ,", "so", "you know ,")
"""Words that may precede a sentence without changing its meaning."""

MODIFIERS = words(
    "former fake unusual incompetent aspiring retired supposed rejected broken second-hand "
    "unofficial temporary failed secret future only electric wooden british digital"
)
"""Words before a noun that change what it refers to."""

ADVERBS = words("yesterday today tomorrow recently currently originally finally eventually later")
