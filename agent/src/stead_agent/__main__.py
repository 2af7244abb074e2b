"""``python -m stead_agent``."""

from stead_agent.main import main

raise SystemExit(main())
