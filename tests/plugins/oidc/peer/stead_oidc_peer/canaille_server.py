"""Canaille, an identity server in Python, with one person in two groups: ``python canaille_server.py PORT``.

Started as a program of its own: it takes over the environment and the Flask application of its process.
"""

from __future__ import annotations

import os
import sys
import uuid
from wsgiref.simple_server import WSGIRequestHandler, make_server

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey

PASSWORD = "correct horse battery staple"
CLIENT_ID, SECRET = "stead", "the-secret-of-the-client"


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


def configuration(port: int) -> dict[str, object]:
    key = RSAKey.generate_key(2048, auto_kid=True)
    return {
        "ENV_FILE": None,
        "SECRET_KEY": str(uuid.uuid4()),
        "PREFERRED_URL_SCHEME": "http",
        "SERVER_NAME": f"127.0.0.1:{port}",
        "CANAILLE": {
            "DATABASE": "memory",
            "JAVASCRIPT": False,
            "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"], "READ": ["user_name", "groups"]}},
        },
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
    }


def populate(callback: str) -> None:
    person = models.User(
        user_name="ada",
        formatted_name="Ada Lovelace",
        given_name="Ada",
        family_name="Lovelace",
        emails=["ada@example.com"],
        password=PASSWORD,
    )
    Backend.instance.save(person)
    for name in ("engineering", "everyone"):
        Backend.instance.save(models.Group(display_name=name, members=[person]))
    client = models.Client(
        client_id=CLIENT_ID,
        client_secret=SECRET,
        client_name="Stead",
        client_uri="https://stead.test",
        redirect_uris=[callback],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups"],
        token_endpoint_auth_method="client_secret_basic",
    )
    Backend.instance.save(client)
    client.audience = [client]
    Backend.instance.save(client)


def main(port: int, callback: str) -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on loopback
    app = create_app(config=configuration(port))
    with app.app_context():
        populate(callback)
    with make_server("127.0.0.1", port, app, handler_class=Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
