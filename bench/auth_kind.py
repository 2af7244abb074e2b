"""What the benchmark of signing in asks of each kind of identity provider.

A kind is a module ``auth_NAME.py`` with a function ``kind(folder)`` that gives a :class:`Kind` as a context manager:
it starts the peer, and ends it. ``bench_auth.KINDS`` names the modules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import httpx


class Kind(ABC):
    """One configured provider named ``corp``, and somebody who signs in with it."""

    @abstractmethod
    def settings(self, stead: str) -> str:
        """TOML of ``[identity.corp]`` for the server at the address ``stead``; the peer runs when this returns."""

    @abstractmethod
    def prepare(self, client: httpx.Client, stead: str) -> None:
        """What a browser has done before the sign-ins that are measured: it is signed in at a provider, say."""

    @abstractmethod
    def sign_in(self, client: httpx.Client, stead: str) -> None:
        """Sign in as a browser does, and fail where that leads to no session.

        :param client: with cookies of its own; it follows no redirects.
        """

    @abstractmethod
    def alone(self, client: httpx.Client) -> None:
        """The same questions to the peer as in a sign-in, without Stead."""
