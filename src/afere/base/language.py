"""Which language a text is in, by its script and its commonest words. Pure, without a model."""

from __future__ import annotations

import re
import unicodedata

# The first script that is common in a text tells the language, but for Latin and Cyrillic letters.
_SCRIPTS = (
    ("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("HANGUL", "ko"), ("CJK", "zh"), ("GREEK", "el"), ("HEBREW", "he"),
    ("ARABIC", "ar"), ("DEVANAGARI", "hi"), ("THAI", "th"),
)  # fmt: skip
COMMON: dict[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "en": "the of and to in is that it for was on are with as be this have from you not at by we they will an can your or",
        "de": "der die und das ist nicht den von zu mit sich auf für ein eine dem des im auch wird sie es wir ich sind als bei wie oder haben",
        "fr": "le la les et des est une un du dans que pour pas qui sur au avec ce il elle nous vous je ne sont par plus cette aux",
        "es": "el la los las de y que en es un una por con para no se del al lo como más pero su sus está son este hay usted",
        "it": "il lo la gli le di e che è un una per con non si del della dei sono come più ma nel alla questo anche ha dal può",
        "pt": "o os as de e que em é um uma por com para não se do da dos das no na como mais mas são este você está ao pela",
        "nl": "de het een en van is dat niet op te in met voor zijn aan er ook die je wij ik naar om dan maar wordt hebben deze bij",
        "sv": "och att det som en på är av för med den till inte om ett har de jag vi kan du från eller men så var vid",
        "da": "og at det som en på er af for med den til ikke om et har de jeg vi kan du fra eller men så var ved der hvor",
        "pl": "i w na nie to jest się z do że jak dla o od po są ale czy przez może jego tego jej być ten która który co tak",
        "cs": "a v na je se že to s z do pro jako o ale by jsou i po od k které který není byl nebo jeho tak už být při",
        "tr": "ve bir bu için ile de da çok olarak daha olan gibi en ne var kadar sonra değil ya ancak ise her mi bunu",
        "ru": "и в не на что я с он как это по но к из у за от так же для вы мы бы был или его она есть можно",  # noqa: RUF001 - its letters are meant
        "uk": "і в не на що я з він як це по але до та у за від так для ви ми був або його вона є можна який які",  # noqa: RUF001 - its letters are meant
    }.items()
}


_OWN = {"ru": frozenset("ыэёъ"), "uk": frozenset("іїєґ")}


def language_of(text: str, *, sure: bool = False) -> str | None:
    """The ISO 639-1 code of a text's language; None where too little points to one.

    `sure`: at least three different common words of two letters and more, twice as many as of any other language.
    """
    letters = [c for c in text[:4000] if c.isalpha()]
    if len(letters) < 4:
        return None
    names = [] if text.isascii() else [unicodedata.name(c, "") for c in letters]  # ASCII letters are Latin ones
    for script, code in _SCRIPTS:
        if sum(name.startswith(script) for name in names) > 0.1 * len(letters):
            return code
    told = {code for code, own in _OWN.items() if own & set(text[:4000].casefold())}
    if sum(name.startswith("CYRILLIC") for name in names) > len(letters) / 2 and len(told) == 1:
        return told.pop()
    words = re.findall(r"[^\W\d_]+", text[:4000].casefold())
    if sure:
        words = [word for word in set(words) if len(word) > 1]
    counts = {code: sum(word in common for word in words) for code, common in COMMON.items()}
    best, second = sorted(counts.values(), reverse=True)[:2]
    if (best < 2 and len(words) > 3) or best in (0, second) or (sure and best < max(3, 2 * second)):
        return None
    return max(counts, key=lambda code: counts[code])
