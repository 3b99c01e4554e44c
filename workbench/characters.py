"""Characters that nobody sees: which they are, and how they are shown.

Texts of models, tools and servers are hostile: what is approved, or read in a trace, must
not hold more than a reader sees, nor show it in another order. This module knows nothing of
letters that look alike, as Latin and Cyrillic ones do: both can be seen.
"""

from __future__ import annotations

import json
import re
import unicodedata

_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Controls, formats (also those that turn the order of letters, and tags), halves of
characters, private use, separators of lines and paragraphs."""
_BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    r"\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Of other categories, but drawn as nothing: the rest of Unicode's
Default_Ignorable_Code_Point, variation selectors among it, and the Braille blank."""


def hidden(character: str) -> bool:
    """Whether a character is invisible or moves others; a line break and a tab are as well."""
    return unicodedata.category(character) in _CATEGORIES or bool(_BLANK.match(character))


def escaped(text: str) -> str:
    r"""`text` with nothing hidden in it: such a character is written as JSON writes it, \u202e.

    So are spaces other than the plain one. Line breaks and tabs stay. JSON stays JSON of the
    same value.
    """
    return "".join(json.dumps(c)[1:-1] if _is_escaped(c) else c for c in text)


def _is_escaped(character: str) -> bool:
    if character in " \n\t":
        return False
    return hidden(character) or unicodedata.category(character) == "Zs"
