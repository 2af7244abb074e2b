"""Switching a machine on and off: IPMI, wake-on-LAN, or a command of your own."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, model_validator

from stead.api.errors import CredentialsRejected, PlatformUnreachable, ProviderFailure

WITHIN = 30.0  # seconds
MAC_BYTES = 6
IPMITOOL = "ipmitool"


class Power(BaseModel, extra="forbid", frozen=True):
    """How to switch one machine."""

    kind: Literal["ipmi", "wake-on-lan", "command"]
    address: str | None = Field(default=None, description="Of the machine's controller (ipmi), or of the broadcast.")
    port: int | None = Field(default=None, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    cipher_suite: int | None = Field(default=None, ge=0, le=17)
    mac: str | None = Field(default=None, pattern=r"^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$")
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Power:
        missing = {
            "ipmi": not self.address and "address",
            "wake-on-lan": not self.mac and "mac",
            "command": not self.on and "on",
        }[self.kind]
        if missing:
            raise ValueError(f"power of the kind {self.kind} needs {missing}")
        return self

    def switch_on(self) -> None:
        """Ask for power; that the machine has it already is no error.

        :raises ProviderFailure: the controller or the command refuses.
        """
        if self.kind == "wake-on-lan":
            self._wake()
        else:
            self._run(self._ipmi("on") if self.kind == "ipmi" else self.on)

    def switch_off(self) -> bool:
        """Take the power; ``False`` where this kind cannot."""
        command = self._ipmi("off") if self.kind == "ipmi" else self.off
        if command:
            self._run(command)
        return bool(command)

    def _ipmi(self, word: str) -> tuple[str, ...]:
        command = (
            IPMITOOL,
            "-I",
            "lanplus",
            "-H",
            self.address or "",
            "-p",
            str(self.port or 623),
            "-E",
            "-N",
            "2",
            "-R",
            "3",
        )
        suite = ("-C", str(self.cipher_suite)) if self.cipher_suite is not None else ()
        user = ("-U", self.username) if self.username else ()
        return (*command, *suite, *user, "chassis", "power", word)

    def _run(self, command: tuple[str, ...]) -> None:
        try:
            ran = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=WITHIN,
                check=False,
                # By the environment: arguments can be read by everybody on this machine.
                env={**os.environ, "IPMI_PASSWORD": self._password()},
            )
        except FileNotFoundError as error:
            raise ProviderFailure(
                f"{command[0]} is not installed where the provisioner runs.", remedy="Install it to switch machines."
            ) from error
        except OSError as error:
            raise ProviderFailure(f"{command[0]} cannot be run: {error.strerror}.") from error
        except subprocess.TimeoutExpired as error:
            raise PlatformUnreachable(f"{command[0]} did not end within {WITHIN:.0f} s.") from error
        if ran.returncode:
            raise self._refusal(command[0], (ran.stderr or ran.stdout).strip())

    def _refusal(self, program: str, said: str) -> ProviderFailure:
        last = (said.splitlines() or ["it said nothing"])[-1]
        if self.kind == "ipmi" and any(word in said for word in ("RAKP", "password", "Unauthorized", "privilege")):
            return CredentialsRejected(
                f"The controller at {self.address} refuses: {last}", remedy="Check username and password of its power."
            )
        if self.kind == "ipmi" and "establish" in said:
            return PlatformUnreachable(f"The controller at {self.address} does not answer: {last}")
        return ProviderFailure(f"{program} could not switch the machine: {last}")

    def _password(self) -> str:
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is None:
            return ""
        try:
            return self.password_file.read_text().strip()
        except OSError as error:
            raise CredentialsRejected(f"{self.password_file} cannot be read: {error.strerror}.") from error

    def _wake(self) -> None:
        """Six bytes of ones and the address sixteen times, as AMD's white paper on Magic Packet has it."""
        address = bytes.fromhex((self.mac or "").replace(":", "").replace("-", ""))
        packet = b"\xff" * MAC_BYTES + address * 16
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sender.sendto(packet, (self.address or "255.255.255.255", self.port or 9))
        except OSError as error:
            raise PlatformUnreachable(f"{self.mac} cannot be woken: {error.strerror}.") from error
