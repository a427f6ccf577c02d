"""How people are named: by which word, and whether two names are, or may be, one person's. Pure."""

import re
import unicodedata

TITLES = {
    *("dame", "doctor", "dr", "miss", "mr", "mrs", "ms", "mx", "prof", "professor", "sir"),
    *("dra", "frau", "herr", "madame", "mevrouw", "meneer", "mme", "monsieur", "pan", "pani"),
    *("don", "doña", "dott", "drs", "lic", "mgr", "mlle", "pr", "señor", "señora", "sr", "sra"),
    *("ssa", "الدكتور", "الدكتورة"),
}
ABBREVIATED = {"dipl", "hab", "mag", "med", "nat", "phil", "psych", "psychol", "rer"}
# Letters after a name, in small ones and without stops.
LETTERS = {
    *("ba", "bsc", "cpsychol", "dclinpsy", "dphil", "lcsw", "lmft", "ma", "mba", "mbacp", "md"),
    *("mphil", "mrcpsych", "msc", "msw", "phd", "psyd", "ukcp"),
}
# What NFKD takes no stroke from, and does not take apart.
PLAIN = str.maketrans(
    {"æ": "ae", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "œ": "oe", "ŧ": "t"}
)
# A word of a name: what a hyphen or an apostrophe parts is two, or one.
APART, TOGETHER = r"\w+", r"\w[\w'’-]*"


def first_name(name: str) -> str:
    """By what somebody is called: the first word that is no title. Where that is an initial, an
    abbreviation or a family name, all of the name.

    >>> first_name("Dr Alice Moreau"), first_name("Dr. med. Dipl.-Psych. Jo Weber")
    ('Alice', 'Jo')
    >>> first_name("Dr J Moreau"), first_name("Moreau, Alice"), first_name("Dr."), first_name("")
    ('Dr J Moreau', 'Moreau, Alice', 'Dr.', '')
    >>> first_name("Prof.ssa Ada Neri"), first_name("Dipl-Psych Anna Weber")
    ('Ada', 'Anna')
    """
    first = next(iter(_without_titles(name)), "")
    return name if first.endswith((".", ",")) or len(first) == 1 else first


def is_same_name(one: str, other: str) -> bool:
    """Whether two names are one person's: each word of the one, in whatever order, is in the other.
    Titles, letters after the name, accents and strokes tell nobody apart, nor does what is written
    together or apart.

    >>> is_same_name("Dr. moreau,  alice", "Alice Moreau"), is_same_name("Ruth Adeyemi", "Ruth")
    (True, False)
    >>> is_same_name("Alíce Moreau", "Frau Alice Moreau, Ph.D."), is_same_name("Ruth", "ruth")
    (True, True)
    >>> is_same_name("Pawel Wojcik", "Paweł Wójcik"), is_same_name("Anne OBrien", "Anne O’Brien")
    (True, True)
    >>> is_same_name("Anna Smith", "Anna Smith-Jones"), is_same_name("Yo Ma", "Mr Yo Li")
    (False, False)
    """
    mine, theirs = _bare(one), _bare(other)
    return any(_words(mine, within) == _words(theirs, within) for within in (APART, TOGETHER))


def is_like_name(one: str, other: str) -> bool:
    """Whether two names may be one person's: two words of the one, and all of it, are in the other.
    Read with titles and letters after the name, and without.

    >>> is_like_name("Anna Smith", "Anna Smith-Jones"), is_like_name("Anna Smith", "Anna Jones")
    (True, False)
    >>> is_like_name("Mrs Anna Smith", "Anna Mary Smith"), is_like_name("Dr Smith", "Dr Anna Smith")
    (True, True)
    """
    pairs = ((one, other), (_bare(one), _bare(other)))
    return any(
        _overlap(_words(mine, within), _words(theirs, within))
        for mine, theirs in pairs
        for within in (APART, TOGETHER)
    )


def initials(name: str) -> str:
    """First letters of the first and last word, for the avatar.

    >>> initials("Dr Hana Maria Lindqvist"), initials("hana@example.org"), initials("")
    ('HL', 'H', '')
    """
    words = _without_titles(name)
    return "".join(word[0] for word in words[:1] + words[1:][-1:]).upper()


def _without_titles(name: str) -> list[str]:
    """The words of a name that are no titles; all of them where there is no other."""
    return [word for word in name.split() if not _is_title(word)] or name.split()


def _is_title(word: str) -> bool:
    known = TITLES | ABBREVIATED if re.search(r"\.$|-", word) else TITLES
    return set(re.findall(r"\w+", word.casefold())) <= known


def _bare(name: str) -> str:
    """A name without titles, and without letters after it where two words are left."""
    words = _without_titles(name)
    rest = [word for word in words if re.sub(r"\W", "", word).casefold() not in LETTERS]
    return " ".join(rest if len(rest) > 1 else words)


def _overlap(words: set[str], others: set[str]) -> bool:
    fewer = min(words, others, key=len)
    return len(fewer) > 1 and fewer == words & others


def _words(name: str, within: str) -> set[str]:
    """The words of a name in plain letters; `within` is the pattern of one."""
    letters = unicodedata.normalize("NFKD", name.casefold()).translate(PLAIN)
    plain = "".join(each for each in letters if not _is_accent(each))
    return {re.sub(r"\W", "", word) for word in re.findall(within, plain)}


def _is_accent(letter: str) -> bool:
    return unicodedata.combining(letter) > 0
