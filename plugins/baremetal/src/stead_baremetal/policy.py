"""What Stead may do on a machine.

``python -m stead_baremetal.policy`` prints the rules for sudo. ``--setup --key FILE.pub`` prints a script that root
executes once on each machine: account, key, program and rules. Both follow from the words that the code uses.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import sys
from pathlib import Path

from stead_baremetal.program import PROGRAM, Word, program

SUDOERS = "/etc/sudoers.d/stead-machine"
HEAD = """\
# What Stead may do on this machine as root: these words of this very program, and nothing else.
# Made by `python -m stead_baremetal.policy`; the digest is the program's.
"""


def sudoers(user: str = "stead") -> str:
    """The rules for sudo, one for each word."""
    content = hashlib.sha256(program().encode()).hexdigest()
    rules = [f"{user} ALL=(root) NOPASSWD: sha256:{content} {PROGRAM} {word}" for word in Word]
    return HEAD + f"Defaults:{user} !requiretty\n" + "\n".join(rules) + "\n"


def setup(user: str, public_key: str) -> str:
    """A script for root that lets Stead use the machine. It may be executed again, as after an upgrade."""
    home = f"/home/{user}"
    return f"""#!/bin/sh
set -eu
umask 022
id {user} >/dev/null 2>&1 || useradd --system --create-home --home-dir {home} --shell /bin/sh {user}
# No password, but no locked account either: an SSH server without PAM lets nobody into one.
usermod --password '*' {user}
mkdir -p {home}/.ssh
echo {shlex.quote(f"restrict {public_key.strip()}")} >{home}/.ssh/authorized_keys
chown -R {user}: {home}/.ssh
chmod 700 {home}/.ssh
mkdir -p {PROGRAM.rpartition("/")[0]} {SUDOERS.rpartition("/")[0]}
cat >{PROGRAM}.new <<'STEAD_MACHINE'
{program()}STEAD_MACHINE
chmod 755 {PROGRAM}.new
cat >{SUDOERS}.new <<'STEAD_SUDOERS'
{sudoers(user)}STEAD_SUDOERS
chmod 440 {SUDOERS}.new
if command -v visudo >/dev/null; then visudo -q -c -f {SUDOERS}.new; fi
mv -f {PROGRAM}.new {PROGRAM}
mv -f {SUDOERS}.new {SUDOERS}
echo "This machine is ready. Its host keys, for the inventory:"
cat /etc/ssh/ssh_host_*_key.pub
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m stead_baremetal.policy", description=__doc__)
    parser.add_argument("--user", default="stead", help="account that Stead signs in with (default: stead)")
    parser.add_argument("--setup", action="store_true", help="print the script that prepares a machine")
    parser.add_argument("--key", type=Path, help="public key that Stead signs in with; needed for --setup")
    given = parser.parse_args(arguments)
    if not given.user.replace("-", "").replace("_", "").isalnum():
        parser.error("--user must be the name of an account")
    if given.setup and given.key is None:
        parser.error("--setup needs --key FILE.pub")
    sys.stdout.write(setup(given.user, given.key.read_text()) if given.setup else sudoers(given.user))
    return 0


if __name__ == "__main__":
    sys.exit(main())
