"""Signs of personal data in a text: e-mail and IP addresses, phone, card and account numbers.

Only kinds are told, never a value. Each is checked by its own rules (a card's
Luhn digit, an account's IBAN digits, a country's phone plan), yet a number can
fit by chance; and names, street addresses and whatever is written in words are
not found. A count of zero is not a proof that nothing is there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

KINDS = ("e-mail", "phone", "card", "IBAN", "IP address")

_REGIONS = {"en": "US", "ru": "RU", "de": "DE", "fr": "FR", "es": "ES", "it": "IT", "uk": "UA"}
"""The country whose phone plan is tried for numbers without a country code, by language."""
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}")
_CARD = re.compile(r"(?<![\w.])[3-6]\d{3}(?:[ -]?\d){9,15}(?!\w)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)")
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\d)"
)
# Phone numbers have 7 digits or more, few characters between them; the matcher is slow on others.
_DIGITS = re.compile(r"(?<!\d)[+(]?\d(?:[ ().\-–/\u00a0]{0,3}\d){6,16}(?!\d)")


@lru_cache(maxsize=4096)
def kinds(text: str, language: str = "") -> frozenset[str]:
    """The kinds of personal data in a text, of KINDS.

    Phone numbers are taken with a country code, or as written in the country of
    `language` (ISO 639-1). IP addresses are those of the public internet.
    """
    found = set()
    for kind, pattern, valid in (
        ("e-mail", _EMAIL, lambda _: True),
        ("IBAN", _IBAN, _is_iban),
        ("card", _CARD, _is_card),
        ("IP address", _IP, _is_public),
    ):
        rest = _without(text, pattern, valid)
        if rest != text:
            found.add(kind)
            text = rest
    if _has_phone(text, _REGIONS.get(language)):
        found.add("phone")
    return frozenset(found)


def _without(text: str, pattern: re.Pattern[str], valid: Callable[[str], bool]) -> str:
    """`text` without what the pattern finds and `valid` confirms, so that it counts once."""
    return pattern.sub(lambda match: " # " if valid(match[0]) else match[0], text)


def _is_iban(number: str) -> bool:
    from stdnum import iban

    # The pattern may have run on into the words after the number.
    parts = number.split(" ")
    return any(iban.is_valid("".join(parts[:end])) for end in range(1, len(parts) + 1))


def _is_card(number: str) -> bool:
    from stdnum import luhn

    return luhn.is_valid(re.sub(r"[ -]", "", number))


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _has_phone(text: str, region: str | None) -> bool:
    import phonenumbers

    for match in _DIGITS.finditer(text):
        if any(True for _ in phonenumbers.PhoneNumberMatcher(match[0], region)):
            return True
    return False
