"""What every provider and platform must do, as tests that a plugin inherits.

::

    import stead_shelf

    class TestShelf(ProviderConformance):
        plugin = stead_shelf
        samples = {"shelf_note": Sample(lambda rig: Note(path=f"{rig.folder}/a.txt", text="one"))}

A platform's plugin inherits :class:`PlatformConformance` as well; an identity provider's inherits
:class:`CredentialsConformance` or :class:`RedirectConformance`, an IDE's :class:`LauncherConformance`, a
policy's :class:`PolicyConformance`.
See ``docs/development/conformance.md``.
"""

from stead.testing.conformance.exceptions import exceptions_of
from stead.testing.conformance.identity import CredentialsConformance, RedirectConformance
from stead.testing.conformance.launcher import LauncherConformance
from stead.testing.conformance.platform import PlatformConformance
from stead.testing.conformance.policy import PolicyCase, PolicyConformance
from stead.testing.conformance.provider import ProviderConformance
from stead.testing.conformance.rig import Rig, Sample, configured

__all__ = [
    "CredentialsConformance",
    "LauncherConformance",
    "PlatformConformance",
    "PolicyCase",
    "PolicyConformance",
    "ProviderConformance",
    "RedirectConformance",
    "Rig",
    "Sample",
    "configured",
    "exceptions_of",
]
