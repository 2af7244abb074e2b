"""Which passwords are good enough for an account of Stead's own.

Long enough, not easily guessed (as the library ``zxcvbn`` estimates it), and without the person's own name: as NIST
SP 800-63B has it, which asks for no mixture of signs and no regular change.
"""

from __future__ import annotations

from stead.api.errors import InvalidInput
from stead.domain import names
from stead.services.core import Core

EXAMINED = 64  # characters: the estimate takes long for long passwords, and these are strong by their length
SHORTEST_NAME = 4  # what is shorter is in too many words


def check(core: Core, password: str, *personal: str) -> str:
    """The password itself, where it may be used.

    :param personal: username, e-mail address and the like, which it must not hold.
    :raises InvalidInput: field ``password``; says what is wrong and what would help, never the password.
    """
    names.check_password(password)
    shortest = core.settings.password_min_length
    if len(password) < shortest:
        raise InvalidInput(f"The password is too short: at least {shortest} characters are needed.", field="password")
    for word in _words(personal):
        if word in password.lower():
            raise InvalidInput(
                "The password holds your own name or address.", field="password", remedy="Choose one that does not."
            )
    _refuse_guessable(password, core.settings.password_min_strength, personal)
    return password


def _words(personal: tuple[str, ...]) -> list[str]:
    parts = [part for text in personal for part in (text, text.partition("@")[0])]
    return [part.lower() for part in parts if len(part) >= SHORTEST_NAME]


def _refuse_guessable(password: str, wanted: int, personal: tuple[str, ...]) -> None:
    if not wanted or len(password) > EXAMINED:
        return
    from zxcvbn import zxcvbn  # its word lists take long to load

    found = zxcvbn(password, user_inputs=[text for text in personal if text])
    if found["score"] >= wanted:
        return
    said = found["feedback"]
    raise InvalidInput(
        f"The password is easily guessed. {said['warning']}".strip(),
        field="password",
        remedy=" ".join(said["suggestions"]) or "Choose a longer one: four unrelated words are good.",
    )
