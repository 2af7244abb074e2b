"""Stead on Google Cloud."""

import warnings

VERSION = "0.1.0"

# The SDK warns, once for each of its packages, of Pythons that it will drop in some years: nothing for a server's log.
warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.api_core\._python_version_support")
