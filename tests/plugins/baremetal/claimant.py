"""A process that claims: reads a key for each try from standard input, and answers how it ended.

python claimant.py SETTINGS MACHINE   (SETTINGS: the plugin's settings as JSON)
"""

from __future__ import annotations

import sys

from stead.api.provider import Context
from stead_baremetal.answers import Claim
from stead_baremetal.fleet import Fleet
from stead_baremetal.keeper import Busy
from stead_baremetal.settings import BaremetalSettings


def main() -> None:
    fleet = Fleet(BaremetalSettings.model_validate_json(sys.argv[1]))
    machine = fleet.inventory(Context()).by_name()[sys.argv[2]]
    with fleet.keeper(machine) as keeper:
        keeper.status(Context())
        print("ready", flush=True)
        for line in sys.stdin:
            word, key = line.split()
            if word == "release":
                print("released" if keeper.release(Context(), key) else "not ours", flush=True)
                continue
            try:
                print("won" if keeper.claim(Context(), Claim(key)) else "had it", flush=True)
            except Busy as busy:
                print(f"lost to {busy.claim.key}", flush=True)


if __name__ == "__main__":
    main()
