"""How people are named: by which word, and whether two names are one person's. Pure."""

import re

TITLES = {"dame", "doctor", "dr", "miss", "mr", "mrs", "ms", "mx", "prof", "professor", "sir"}


def first_name(name: str) -> str:
    """By what somebody is called: the first word that is no title.

    >>> first_name("Dr Alice Moreau"), first_name("Dr. med. Dipl.-Psych. Jo Weber")
    ('Alice', 'Jo')
    >>> first_name("J. Moreau"), first_name("Dr."), first_name("")
    ('J.', 'Dr.', '')
    """
    return next(iter(_without_titles(name)), "")


def is_same_name(typed: str, name: str) -> bool:
    """Whether what somebody typed names a person, in whatever order and with whatever titles.

    >>> is_same_name("Dr. moreau,  alice", "Alice Moreau"), is_same_name("Ruth Adeyemi", "Ruth")
    (True, False)
    >>> is_same_name("Alice Moreau", "Dr. med. Alice Moreau"), is_same_name("Dr", "Dr Moreau")
    (True, False)
    """
    words, wanted = (
        set(re.findall(r"\w+", " ".join(_without_titles(each)).casefold()))
        for each in (typed, name)
    )
    return words == wanted or (len(wanted) > 1 and wanted <= words)


def initials(name: str) -> str:
    """First letters of the first and last word, for the avatar.

    >>> initials("Dr Hana Maria Lindqvist"), initials("hana@example.org"), initials("")
    ('HL', 'H', '')
    """
    words = _without_titles(name)
    return "".join(word[0] for word in words[:1] + words[1:][-1:]).upper()


def _without_titles(name: str) -> list[str]:
    """The words of a name that are no titles; all of them where there is no other.

    An abbreviation of three letters or more is a title; 'J.' is of the name.
    """
    words = name.replace(",", " ").split()
    return [word for word in words if not _is_title(word)] or words


def _is_title(word: str) -> bool:
    is_abbreviation = word.endswith(".") and len(word) > len("J.")
    return is_abbreviation or word.rstrip(".").casefold() in TITLES
