"""Settings from file, environment and flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from stead.api.errors import InvalidInput
from stead.config import Settings, load_settings
from stead.config.loader import secret_names
from stead.config.show import HIDDEN, reference, show_settings
from stead.config.types import split_address


def write(folder: Path, text: str) -> Path:
    path = folder / "stead.toml"
    path.write_text(text)
    return path


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, 'provisioners = 1\nhttp_address = "127.0.0.1:1"\nlog_level = "debug"\n')
    environ = {"STEAD_PROVISIONERS": "2", "STEAD_HTTP_ADDRESS": "127.0.0.1:2"}
    settings = load_settings({"provisioners": 3, "trace": None}, config=config, environ=environ)
    assert (settings.provisioners, settings.http_address, settings.log_level) == (3, "127.0.0.1:2", "debug")
    assert settings.provenance == {
        "provisioners": "flag --provisioners",
        "http_address": "environment STEAD_HTTP_ADDRESS",
        "log_level": f"file {config}",
    }


@pytest.mark.parametrize(
    ("toml", "environ", "message"),
    [
        ("provisoners = 2", {}, "There is no setting provisoners. Did you mean provisioners?"),
        ("", {"STEAD_HTP_ADDRESS": "x"}, "There is no setting STEAD_HTP_ADDRESS. Did you mean STEAD_HTTP_ADDRESS?"),
        ("[plugins]\ndisable = []", {}, "There is no setting plugins.disable."),
        ("build_timeout = 'soon'", {}, "Setting build_timeout"),
        ("http_address = 'here'", {}, "HOST:PORT"),
        ("log_level = 'loud'", {}, "Setting log_level"),
        ("tls_cert_file = 'x.pem'", {}, "belong together"),
        ("access_url = 'ftp://x'", {}, "must start with http"),
        ("provisioners = [", {}, "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, toml: str, environ: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        load_settings(config=write(tmp_path, toml), environ=environ)
    assert message in str(raised.value)


def test_variables_of_the_agent_the_command_line_and_tests_are_not_ours(tmp_path: Path) -> None:
    environ = {
        "STEAD_AGENT_URL": "https://x",
        "STEAD_AGENT_TOKEN": "secret",
        "STEAD_TEST_ANYTHING": "1",
        "STEAD_URL": "https://x",
        "STEAD_AGENT_BUNDLE_DIR": str(tmp_path),
    }
    settings = load_settings(config=write(tmp_path, ""), environ=environ)
    assert settings.agent_bundle_dir == tmp_path
    assert list(settings.provenance) == ["agent_bundle_dir"]


def test_plugins_have_sections(tmp_path: Path) -> None:
    config = write(tmp_path, '[plugins]\ndisabled = ["gcp"]\n[plugins.docker]\nhost = "unix:///a"\nextra = 1\n')
    settings = load_settings(config=config, environ={"STEAD_PLUGINS_DOCKER_HOST": "unix:///b"})
    assert settings.plugins.disabled == ["gcp"]
    assert settings.plugin_section("docker") == {"host": "unix:///b", "extra": 1}
    assert settings.plugin_section("none") == {}
    disabled = load_settings(config=config, environ={"STEAD_PLUGINS_DISABLED": "a, b"})
    assert disabled.plugins.disabled == ["a", "b"]


def test_policies_have_tables_of_names_that_administrators_choose(tmp_path: Path) -> None:
    config = write(tmp_path, "[policies.workspace-limit]\nmost = 3\n[policies.empty]\n")
    environ = {"STEAD_POLICIES_WORKSPACE_LIMIT_MODE": "warn", "STEAD_POLICIES_COST_MOST": "0.5"}
    settings = load_settings(config=config, environ=environ)
    assert settings.policies.sections == {
        "workspace-limit": {"most": 3, "mode": "warn"},
        "empty": {},
        "cost": {"most": "0.5"},
    }
    shown = {item.name: item for item in show_settings(settings)}
    assert (shown["policies.workspace-limit.mode"].value, shown["policies.workspace-limit.most"].value) == (
        "warn",
        HIDDEN,
    )
    assert shown["policies.cost.most"].source == "environment STEAD_POLICIES_COST_MOST"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policies = 1", "policies must be a table"),
        ("[policies]\nmost = 1", "There is no setting policies.most"),
        ('[policies."Big Cost"]\nmost = 1', "policies.Big Cost is no name for a policy"),
    ],
)
def test_a_table_of_policies_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        load_settings(config=write(tmp_path, text), environ={})


def test_a_secret_comes_from_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    url = "postgresql://stead:hunter2@db/stead"
    (tmp_path / "pg").write_text(url + "\n")
    config = write(tmp_path, f'pg_connection_url_file = "{tmp_path / "pg"}"\n[plugins.x]\ntoken = "hunter2"\n')
    settings = load_settings(config=config, environ={})
    assert settings.pg_connection_url is not None
    assert settings.pg_connection_url.get_secret_value() == url
    shown = {item.name: item for item in show_settings(settings)}
    assert shown["pg_connection_url"].value == HIDDEN
    assert str(tmp_path / "pg") in shown["pg_connection_url"].source
    assert shown["plugins.x.token"].value == HIDDEN
    assert "hunter2" not in repr(settings) + str(settings) + str(list(shown.values()))


def test_a_secret_in_a_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        load_settings(config=write(tmp_path, 'pg_connection_url = ["hunter2"]'), environ={})
    assert "hunter2" not in str(raised.value)


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    config = write(tmp_path, 'pg_connection_url_file = "/nowhere/pg"')
    with pytest.raises(InvalidInput, match="/nowhere/pg cannot be read"):
        load_settings(config=config, environ={})


def test_the_older_name_of_the_database_url_is_read(tmp_path: Path) -> None:
    environ = {"CODER_PG_CONNECTION_URL": "postgresql://old/x"}
    config = write(tmp_path, "")
    old = load_settings(config=config, environ=environ)
    assert old.pg_connection_url is not None
    assert old.pg_connection_url.get_secret_value() == "postgresql://old/x"
    new = load_settings(config=config, environ={**environ, "STEAD_PG_CONNECTION_URL": "postgresql://new/x"})
    assert new.pg_connection_url is not None
    assert new.pg_connection_url.get_secret_value() == "postgresql://new/x"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172800), ("12", 12), (7, 7)]
)
def test_durations(text: str | int, seconds: float) -> None:
    assert Settings(build_timeout=text).build_timeout == seconds  # type: ignore[arg-type]


def test_the_access_url_follows_the_address() -> None:
    settings = Settings(http_address="0.0.0.0:8080")
    assert settings.access_url == "http://127.0.0.1:8080"
    assert settings.with_http_address("127.0.0.1:9").access_url == "http://127.0.0.1:9"
    given = Settings(access_url="https://dev.example.org/")
    assert given.access_url == "https://dev.example.org"
    assert given.with_http_address("127.0.0.1:9").access_url == "https://dev.example.org"
    assert split_address("[::1]:80") == ("::1", 80)


def test_every_setting_is_explained_and_the_reference_is_fresh() -> None:
    for name, info in Settings.model_fields.items():
        assert info.description, name
    assert secret_names() == {"pg_connection_url"}
    page = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    assert page.read_text() == reference(), "run: python -m stead.config.show > docs/reference/settings.md"
