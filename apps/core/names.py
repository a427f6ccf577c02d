"""How people are named: by which word, and whether two names are one person's. Pure."""

import re
import unicodedata

TITLES = {
    *("dame", "doctor", "dr", "miss", "mr", "mrs", "ms", "mx", "prof", "professor", "sir"),
    *("dra", "frau", "herr", "madame", "mevrouw", "meneer", "mme", "monsieur", "pan", "pani"),
    *("don", "doña", "drs", "mgr", "mlle", "señor", "señora", "sr", "sra"),
}
ABBREVIATED = {"dipl", "hab", "lic", "mag", "med", "nat", "phil", "psych", "psychol", "rer"}


def first_name(name: str) -> str:
    """By what somebody is called: the first word that is no title. Where that is an initial, an
    abbreviation or a family name, all of the name.

    >>> first_name("Dr Alice Moreau"), first_name("Dr. med. Dipl.-Psych. Jo Weber")
    ('Alice', 'Jo')
    >>> first_name("J. Moreau"), first_name("Moreau, Alice"), first_name("Dr."), first_name("")
    ('J. Moreau', 'Moreau, Alice', 'Dr.', '')
    """
    first = next(iter(_without_titles(name)), "")
    return name if first.endswith((".", ",")) else first


def is_same_name(typed: str, name: str) -> bool:
    """Whether what somebody typed names a person: two words of the one, in whatever order, and all
    of it, are in the other. Titles, letters after the name and accents tell nobody apart.

    >>> is_same_name("Dr. moreau,  alice", "Alice Moreau"), is_same_name("Ruth Adeyemi", "Ruth")
    (True, False)
    >>> is_same_name("Alíce Moreau", "Frau Alice Moreau, PhD"), is_same_name("Ruth", "ruth")
    (True, True)
    """
    words, wanted = _words(typed), _words(name)
    fewer = min(words, wanted, key=len)
    return words == wanted or (len(fewer) > 1 and fewer == words & wanted)


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
    known = TITLES | ABBREVIATED if word.endswith(".") else TITLES
    return set(re.findall(r"\w+", word.casefold())) <= known


def _words(name: str) -> set[str]:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return set(re.findall(r"\w+", "".join(each for each in letters if not _is_accent(each))))


def _is_accent(letter: str) -> bool:
    return unicodedata.combining(letter) > 0
