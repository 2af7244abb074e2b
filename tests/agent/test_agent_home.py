"""Which folder is home: where the template mounts it, not where the image's password file has it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from stead_agent.users import current_user


def test_a_home_that_the_template_set_wins(tmp_path: Path) -> None:
    assert current_user({"HOME": str(tmp_path)}).home == str(tmp_path)


def test_a_home_that_is_not_there_is_not_used(tmp_path: Path) -> None:
    expected = pwd.getpwuid(os.geteuid()).pw_dir
    assert current_user({"HOME": str(tmp_path / "missing")}).home == expected
    assert current_user({"HOME": "/"}).home == expected
    assert current_user({}).home == expected
