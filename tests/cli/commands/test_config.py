"""``orderctl config``."""

import grp
import json
import os
import stat
import tomllib
from pathlib import Path

import pytest

from orderctl import environment, setting_sections, setting_sources, settings
from orderctl.cli.commands import config
from orderctl.cli.commands.config import template
from orderctl.errors import Misconfigured
from tests.cli.conftest import Program

SECRET = "a-secret-that-nobody-may-see-at-all"


def test_show_lists_every_setting_with_its_origin_and_without_secrets(orderctl: Program, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('[database]\nurl = "mysql://shop:geheim@db/shop"\n[display]\ncurrency = "EUR"\n')
    env = {"ORDERCTL_RELAY_PORT": "4000", "ORDERCTL_RELAY_TOKEN_SECRET": SECRET}

    ended = orderctl(
        "--config", str(file), "config", "show", "-o", "json", "--redis-url", "redis://r:6379/1", env=env
    )

    rows = {row["key"]: row for row in json.loads(ended.out)}
    assert set(rows) == {"state_dir", setting_sections.READ_ONLY, *setting_sections.declared()}
    assert rows["relay.port"]["value"] == "4000"
    assert rows["relay.port"]["origin"] == "environment ORDERCTL_RELAY_PORT"
    assert rows["relay.port"]["variable"] == "ORDERCTL_RELAY_PORT"
    assert rows["display.currency"]["origin"] == f"file {file}"
    assert rows["redis.url"]["origin"] == "command line"
    assert rows["mail.url"]["value"] is None
    assert rows[setting_sections.READ_ONLY]["about"].startswith("refuse commands")
    assert SECRET not in ended.out
    assert "geheim" not in ended.out
    assert ended.err == ""


def test_check_accepts_valid_settings(orderctl: Program):
    ended = orderctl("config", "check")

    assert (ended.status, ended.out) == (0, "")
    assert ended.err.endswith("settings checked, all valid; no server was asked: --connect\n")
    assert orderctl("config", "check", "-q").err == ""


def test_check_names_a_wrong_setting_and_its_origin(orderctl: Program, home: Path):
    file = home / "config" / "orderctl" / "config.toml"
    file.parent.mkdir()
    for content, message in (
        (
            "[relay]\nport = 99999\n",
            f"setting relay.port (file {file}): needs a whole number from 0 to 65535",
        ),
        ("[relay]\nprot = 1\n", f"setting relay.prot (file {file}): no setting has this name"),
        ("[relay\n", f"cannot read {file}"),
    ):
        file.write_text(content)

        ended = orderctl("config", "check")

        assert ended.status == 78
        assert message in ended.err


def test_check_writes_invented_mails_with_the_shop_s_templates(orderctl: Program, tmp_path):
    env = {"ORDERCTL_MAIL_TEMPLATES": str(tmp_path)}
    file = tmp_path / "order.txt"
    for content, status, message in (
        ("Subject: a\n\n{{ order.code }}", 0, "settings checked, all valid; no server was asked: --connect"),
        ("Subject: a\n\n{{ order.price }}", 78, f"{file}, line 3: there is no variable 'price'"),
        ("Subject: a\n\n{% if %}", 78, f"{file}, line 3: Expected an expression"),
    ):
        file.write_text(content)

        ended = orderctl("config", "check", env=env)

        assert (ended.status, message in ended.err) == (status, True), ended.err


def test_check_warns_of_a_file_that_other_users_can_read(orderctl: Program, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("")
    file.chmod(0o644)

    ended = orderctl("--config", str(file), "config", "check", "-q")

    assert ended.status == 0
    assert ended.err == f"warning: {file} may contain secrets, and every user can read it: chmod 600 {file}\n"


def test_check_warns_of_a_secret_that_every_user_can_read(orderctl: Program, tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o444)  # as Docker's

    ended = orderctl("config", "check", "-q", env={"ORDERCTL_RELAY_TOKEN_SECRET_FILE": str(file)})

    assert ended.status == 0
    assert ended.err == f"warning: {file} is a secret, and every user can read it: chmod 600 {file}\n"


def test_init_writes_a_file_for_this_user_alone_and_never_over_another(orderctl: Program, home: Path):
    file = home / "config" / "orderctl" / "config.toml"

    first, second = orderctl("config", "init"), orderctl("config", "init")

    assert first.status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert orderctl("config", "check").status == 0
    assert second.status == 4
    assert second.err.startswith(f"orderctl: {file} already exists\n")
    assert str(file) in orderctl("config", "path", "-o", "name").out


def test_init_says_what_comes_next(orderctl: Program, tmp_path):
    file = tmp_path / "own file.toml"

    written = orderctl("--config", str(file), "config", "init")

    assert written.err.splitlines() == [
        f"Wrote {file}. Edit it, then:",
        f"next: orderctl --config '{file}' config check",
        f"next: orderctl --config '{file}' migrate up",
    ]
    assert orderctl("--config", str(file), "config", "init", "--system").status == 2


@pytest.mark.parametrize(
    ("group", "mode"), [("orderctl-test-no-such", 0o600), (grp.getgrgid(os.getgid()).gr_name, 0o640)]
)
def test_init_writes_the_machine_s_file_which_the_program_s_group_can_read(
    inside: Program, tmp_path, monkeypatch, group, mode
):
    file = tmp_path / "etc" / "config.toml"
    monkeypatch.setattr(setting_sources, "SYSTEM_FILE", file)
    monkeypatch.setattr(config, "PROGRAM_GROUP", group)

    written = inside("config", "init", "--system")

    assert (written.status, written.err.splitlines()[1]) == (0, "next: orderctl config check")
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o055 == 0o055
    assert inside("config", "init", "--system").status == 4


def test_the_template_has_every_setting_and_they_may_be_used(tmp_path):
    uncommented = "\n".join(
        line.removeprefix("# ")
        if line.startswith("# ") and (" = " in line or line.startswith("# [[")) and '""' not in line
        else line
        for line in template().splitlines()
        if "_file = " not in line
    )

    document = tomllib.loads(uncommented)

    file = tmp_path / "c.toml"
    file.write_text(uncommented)
    loaded = settings.load(config=file, environ={"HOME": str(tmp_path)})
    assert set(setting_sections.SECTIONS) <= set(document)
    assert all(item.name in template() for item in setting_sections.declared().values())
    assert loaded.worker == setting_sections.Worker()
    assert loaded.relay == setting_sections.Relay()
    assert [endpoint.name for endpoint in loaded.notify.endpoint] == ["crm"]


def test_what_was_read_does_not_change_and_has_no_other_keys():
    worker = setting_sections.Worker(concurrency=3)

    with pytest.raises(AttributeError, match="concurrency"):
        worker.concurrency = 4

    with pytest.raises(AttributeError, match="concurency"):
        worker.concurency = 4
    with pytest.raises(TypeError, match="concurency"):
        setting_sections.Worker(concurency=4)
    assert worker.concurrency == 3
    assert worker.take == "managed"
    assert worker == setting_sections.Worker(concurrency=3) != settings.Worker()
    assert len({worker, setting_sections.Worker(concurrency=3)}) == 1


def test_the_repr_of_settings_has_no_secret():
    shown = repr(setting_sections.Mail(url="smtp://me:hidden@host", sender="a@b.c"))

    assert "hidden" not in shown
    assert "sender='a@b.c'" in shown
    assert "url=None" in repr(setting_sections.Mail())


def test_the_hint_of_a_wrong_setting_works_while_it_is_wrong(inside: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_RELAY_PORT", "x")
    ended = inside("orders", "list")
    [hint] = [line.removeprefix("hint: ") for line in ended.err.splitlines() if line.startswith("hint: ")]

    listed = inside(*hint.split()[1:])

    assert ended.status == 78
    assert listed.status == 0
    assert "port" in listed.out


@pytest.mark.parametrize(
    "url", ["{}://a/b:geheim@h/1", "{}://a/b:c?geheim@h/1", "{}://a?b:geheim@h/1", "{}://a#b:geheim@h"]
)
@pytest.mark.parametrize(
    ("key", "scheme"),
    [
        ("database.url", "mysql"),
        ("redis.url", "redis"),
        ("mail.url", "smtp"),
        ("notify.webhook_url", "https"),
    ],
)
def test_no_part_of_a_password_is_shown_wherever_a_user_name_is_cut(
    inside: Program, monkeypatch: pytest.MonkeyPatch, key: str, scheme: str, url: str
):
    monkeypatch.setenv(environment.variable(key), url.format(scheme))

    ended = inside("config", "show")

    assert "geheim" not in ended.out + ended.err
    assert ended.status in {0, 78}


def test_the_password_of_a_webhook_is_masked(orderctl: Program):
    url = "https://shop:geheim@h/hook?token=geheim"

    ended = orderctl("config", "show", env={"ORDERCTL_NOTIFY_WEBHOOK_URL": url})

    assert "https://***@h/***" in ended.out


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mail.sender", "shop"),
        ("mail.sender", "a@b.c, d@e.f"),
        ("mail.sender", "Shop <a@b.c>\r\nBcc: x@y.z"),
        ("mail.admin", "admin"),
        ("mail.admin", "<script>@b.c"),
        ("mail.url", "smtp://a b"),
        ("mail.url", "smtp://h:0"),
        ("notify.webhook_url", "https://a\\@b/"),
        ("notify.webhook_url", "https://h/a\tb"),
        ("notify.webhook_url", "https://h:99999/"),
        ("notify.webhook_url", "https://"),
        ("notify.webhook_url", "ftp://h/"),
        ("download.public_url", "https://h/?folder="),
        ("download.public_url", "https://h/#x"),
    ],
)
def test_an_address_that_cannot_be_used_names_its_setting(key: str, value: str):
    variable = environment.variable(key)

    with pytest.raises(Misconfigured, match=rf"setting {key} \(environment {variable}\): needs") as raised:
        settings.load(environ={variable: value})

    assert raised.value.exit_status == 78
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("mail.sender", "Jürgen <shop@müller.de>", "Jürgen <shop@müller.de>"),
        ("mail.admin", "root@localhost", "root@localhost"),
        ("mail.url", "smtp://[::1]:25", "smtp://[::1]:25"),
        ("notify.webhook_url", "https://müller.de/hook/", "https://müller.de/hook/"),
        ("notify.webhook_url", "https://h", "https://h"),
        ("download.public_url", "https://h/courses/", "https://h/courses"),
    ],
)
def test_an_address_is_read_as_it_was_given(key: str, value: str, read: str):
    section, _, name = key.partition(".")
    found = settings.load(environ={environment.variable(key): value})

    assert getattr(getattr(found, section), name) == read


def test_a_control_character_in_a_path_names_its_setting(orderctl: Program):
    ended = orderctl("config", "show", env={"ORDERCTL_STATE_DIR": "/tmp/a\nb"})

    assert ended.status == 78
    assert (
        "setting state_dir (environment ORDERCTL_STATE_DIR): needs a path without control char" in ended.err
    )


@pytest.mark.parametrize(
    "prefix", ["shop*:", "a b", "é", "task:", "rq:x", "orderctl:", "x" * 65, "[a]", "shop?"]
)
def test_a_prefix_that_would_match_other_names_is_refused(inside: Program, monkeypatch, prefix):
    monkeypatch.setenv("ORDERCTL_REDIS_PREFIX", prefix)

    ended = inside("config", "check")

    assert ended.status == 78
    assert "setting redis.prefix (environment ORDERCTL_REDIS_PREFIX)" in ended.err


@pytest.mark.databases("sqlite")
def test_check_connects_on_request_and_says_what_it_finds(
    migrated_url, redis_url, inside: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", migrated_url)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    well = inside("config", "check", "--connect")
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1")
    down, unasked = inside("config", "check", "--connect"), inside("config", "check")

    first, database, redis = well.err.splitlines()
    assert (well.status, first.endswith("checked, all valid.")) == (0, True)
    assert database.startswith("database: SQLite ")
    assert " · primary · " in redis
    assert (down.status, unasked.status) == (69, 0)
    assert "\nredis: Redis does not answer: " in down.err
    assert down.err.endswith("\nhint: orderctl config show\n")


def test_check_needs_no_migrated_database_and_starts_nothing(inside: Program, home):
    ended = inside("config", "check", "--connect")

    assert ended.status == 0
    assert ended.err.splitlines()[1:] == [
        f"database: not migrated · sqlite:///{home}/state/orderctl/orderctl.db",
        "redis: embedded, not running: the first command that needs it starts it",
        "next: orderctl migrate up",
    ]
    assert not (home / "state" / "orderctl").exists()
