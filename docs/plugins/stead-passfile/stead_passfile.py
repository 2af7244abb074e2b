"""A Stead plugin in one file: people sign in with a name and a password of a file's lines."""

import hashlib
import hmac

from pydantic import BaseModel, FilePath

from stead.api import errors, hookimpl, signin


class Settings(BaseModel, extra="forbid"):
    file: FilePath  # lines of NUMBER:NAME:SALT:HASH, where a number is never given to another


class PassFile(signin.CredentialsProvider, signin.Directory):
    def __init__(self, settings: Settings) -> None:
        self.file = settings.file

    def _find(self, place: int, text: str) -> list[str] | None:
        try:
            lines = [line.split(":") for line in self.file.read_text().split()]
        except OSError as error:
            raise errors.Unavailable(f"The file of passwords cannot be read: {error.strerror}.") from error
        return next((line for line in lines if line[place] == text), None)

    def verify(self, credentials: signin.Credentials) -> signin.Person | None:
        if (line := self._find(1, credentials.username)) is None:
            return None  # not mine: the next provider is asked
        given = hashlib.scrypt(credentials.password.encode(), salt=bytes.fromhex(line[2]), n=2**14, r=8, p=1)
        if not hmac.compare_digest(given.hex(), line[3]):
            raise signin.AuthenticationFailed(detail="wrong password")
        return signin.Person("passfile", line[0], username=line[1])

    def look_up(self, link: signin.Link, trace: signin.Trace) -> signin.Person | None:
        return (line := self._find(0, link.subject)) and signin.Person("passfile", line[0], username=line[1])


@hookimpl
def stead_identity_providers() -> list[signin.IdentityProviderSpec]:
    return [signin.IdentityProviderSpec("passfile", "File of passwords", PassFile, Settings)]
