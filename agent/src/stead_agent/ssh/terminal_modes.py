"""Terminal modes of RFC 4254, section 8, applied to a terminal."""

from __future__ import annotations

import contextlib
import termios
from collections.abc import Mapping

CHARACTERS = {
    1: termios.VINTR, 2: termios.VQUIT, 3: termios.VERASE, 4: termios.VKILL, 5: termios.VEOF, 6: termios.VEOL,
    7: termios.VEOL2, 8: termios.VSTART, 9: termios.VSTOP, 10: termios.VSUSP, 12: termios.VREPRINT,
    13: termios.VWERASE, 14: termios.VLNEXT, 18: termios.VDISCARD,
}  # fmt: skip
INPUT, OUTPUT, CONTROL, LOCAL = 0, 1, 2, 3
FLAGS = {
    30: (INPUT, termios.IGNPAR), 31: (INPUT, termios.PARMRK), 32: (INPUT, termios.INPCK),
    33: (INPUT, termios.ISTRIP), 34: (INPUT, termios.INLCR), 35: (INPUT, termios.IGNCR),
    36: (INPUT, termios.ICRNL), 38: (INPUT, termios.IXON), 39: (INPUT, termios.IXANY),
    40: (INPUT, termios.IXOFF), 41: (INPUT, termios.IMAXBEL), 42: (INPUT, 0o40000),  # IUTF8
    50: (LOCAL, termios.ISIG), 51: (LOCAL, termios.ICANON), 53: (LOCAL, termios.ECHO),
    54: (LOCAL, termios.ECHOE), 55: (LOCAL, termios.ECHOK), 56: (LOCAL, termios.ECHONL),
    57: (LOCAL, termios.NOFLSH), 58: (LOCAL, termios.TOSTOP), 59: (LOCAL, termios.IEXTEN),
    60: (LOCAL, termios.ECHOCTL), 61: (LOCAL, termios.ECHOKE),
    70: (OUTPUT, termios.OPOST), 72: (OUTPUT, termios.ONLCR), 73: (OUTPUT, termios.OCRNL),
    74: (OUTPUT, termios.ONOCR), 75: (OUTPUT, termios.ONLRET),
    90: (CONTROL, termios.CS7), 91: (CONTROL, termios.CS8), 92: (CONTROL, termios.PARENB),
    93: (CONTROL, termios.PARODD),
}  # fmt: skip
DISABLED = 255
VALUES_OF_TWO_BITS = frozenset({90, 91})


def apply_modes(fd: int, modes: Mapping[int, int]) -> None:
    """Set what the client asked for; what this system does not know is left as it is."""
    with contextlib.suppress(termios.error):
        attributes = termios.tcgetattr(fd)
        for mode, value in modes.items():
            _apply(attributes, mode, value)
        termios.tcsetattr(fd, termios.TCSANOW, attributes)


def _apply(attributes: list[int | list[bytes | int]], mode: int, value: int) -> None:
    if mode in CHARACTERS:
        characters = attributes[6]
        if isinstance(characters, list):
            characters[CHARACTERS[mode]] = bytes([0 if value == DISABLED else value & 0xFF])
    elif mode in FLAGS:
        index, bit = FLAGS[mode]
        flags = attributes[index]
        if isinstance(flags, int) and not (mode in VALUES_OF_TWO_BITS and not value):
            attributes[index] = flags | bit if value else flags & ~bit
