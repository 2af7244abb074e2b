"""``python -m stead_agent_bundle OUT_DIR [--arch amd64]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stead_agent_bundle.build import build
from stead_agent_bundle.errors import BundleError


def main() -> int:
    """Build and say what was built; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stead_agent_bundle", description=__doc__)
    parser.add_argument("out_dir", type=Path, help="where manifest.json, the archive and bootstrap/ go")
    parser.add_argument("--arch", default="", help="amd64 or arm64; that of this interpreter when left out")
    options = parser.parse_args()
    try:
        built = build(options.out_dir, options.arch)
    except BundleError as error:
        print(f"stead_agent_bundle: {error}", file=sys.stderr)
        return 1
    print(f"{built.path}  {built.size / 1e6:.1f} MB  sha256 {built.sha256}")
    return 0


raise SystemExit(main())
