"""The secrets of settings: shown nowhere, whether the setting is right or wrong, and refused on the command line."""

import json
import os
from pathlib import Path

import pytest

from orderctl import environment, setting_sections, setting_types, settings
from tests.canaries import Canaries
from tests.cli.conftest import Program

#: Values of settings with a place for a secret, raw ({raw}) or URL-encoded ({}), by the function that reads them.
VALUES = {
    setting_types.database_url: [
        "mysql://shop:{}@127.0.0.1:1/db",
        "mysql://{}@127.0.0.1:1/db?ssl-mode={}",
        "mysql://shop:{raw}@127.0.0.1:1/db",
        "mysql://shop@127.0.0.1:1/db?password={}",
        "mysql://shop@127.0.0.1:1/db?{}=1",
        "mysql:/shop:{}@127.0.0.1/db",
        "sqlite:///f?{}",
        "{raw}",
    ],
    setting_types.redis_url: [
        "redis://:{}@127.0.0.1:1/0",
        "redis://{}@127.0.0.1:1",
        "redis://127.0.0.1:1?username=u&password={}",
        "rediss://127.0.0.1:1?ssl_certfile=/c&ssl_keyfile=/k&ssl_password={}",
        "rediss://shop:{raw}@127.0.0.1:1/{}",
        "redis://127.0.0.1:1?db={}",
        "redis://127.0.0.1:1?{}=1",
        "{raw}",
    ],
    setting_types.shared_key: ["{raw}", "{raw}\n", "short"],
    setting_types.smtp_url: [
        "smtp://shop:{}@127.0.0.1:1",
        "smtps://shop:{raw}@127.0.0.1:1",
        "smtp:{}",
        "{raw}",
    ],
    setting_types.http_url: [
        "https://u:{}@h/hook?token={}#{}",
        "https://{}@h",
        "https://h.example/services/{}/{}",
        "https://u:{raw}@h/x",
        "{raw}",
    ],
    setting_types.base_url: ["https://u:{}@h", "https://h/?token={}", "https://u:{raw}@h/x", "{raw}"],
    setting_types.signing_secret: ["{raw}", "  ", "{raw:.20}"],
    setting_types.text: ["{raw}"],
    setting_sections.webhook_secrets: ["{raw}", "  ", "{raw:.20}", "whsec_{raw}"],
    setting_sections.webhook_endpoints: [
        '[{{"name": "crm", "url": "https://u:{}@h/{}?{}", "secret": "{}"}}]',
        '[{{"name": "crm", "url": "https://h/", "secret": ["whsec_{}"], "events": ["order_*"]}}]',
        '[{{"name": "crm", "url": "{}"}}]',
        '[{{"name": "crm", "url": "https://h/", "secret": "{}", "secrte": "{}", "{}": "{}"}}]',
        '[{{"name": "crm", "url": "https://h/", "secret": "{}", "events": "order_done"}}]',
        '[{{"name": "crm", "url_file": "{}", "secret_file": "{}"}}]',
        "{raw}",
    ],
}


def test_every_setting_that_may_have_a_secret_is_declared_as_such():
    suspect = [
        key
        for key, item in setting_sections.declared().items()
        if key.endswith(("url", "secret", "key", "password", "token")) and not (item.secret or item.show)
    ]

    assert suspect == []


@pytest.mark.parametrize(
    "key", [key for key, item in setting_sections.declared().items() if item.secret or item.show]
)
def test_no_setting_shows_its_secret(
    key: str, inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    item, canaries, outputs = setting_sections.declared()[key], Canaries(), ""
    monkeypatch.setenv("ORDERCTL_DEBUG", "1")
    variable, config = environment.variable(key), tmp_path / "config.toml"
    section, _, name = key.partition(".")
    for template in VALUES[item.read]:
        secret = canaries.plant(f"{key} as {template}")
        value = template.format(*[secret.quoted] * 5, raw=secret.text)
        file = tmp_path / "secret"
        file.write_text(value)
        config.write_text(f"[{section}]\n{name} = {json.dumps(value)}\n")
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(f"[{section}]\n{name} = [{json.dumps(value)}]\n")
        commands = [["config", "show", "-o", "json"], ["config", "check"]]
        if key in {"database.url", "redis.url"}:
            commands += [["orders", "list"], ["worker", "list"]]
        for command in commands:
            with monkeypatch.context() as patch:
                patch.setenv(variable, value)
                outputs += _said(inside, command)
            if item.secret:
                with monkeypatch.context() as patch:
                    patch.setenv(f"{variable}_FILE", str(file) if command[0] == "config" else value)
                    outputs += _said(inside, command)
        for path in (config, wrong):
            outputs += _said(inside, ["--config", str(path), "config", "show"])
        if item.secret and key in {"database.url", "redis.url"}:
            outputs += _said(inside, [f"--{section}-url", value, "orders", "list"])
        outputs += repr(_loaded(variable, value))

    assert canaries.found("output", outputs) == []
    assert "***" in outputs


def _said(inside: Program, command: list[str]) -> str:
    ended = inside(*command)
    assert ended.status in {0, 2, 3, 69, 78}, ended
    return f"{ended.out}{ended.err}"


def _loaded(variable: str, value: str) -> object:
    try:
        loaded = settings.load({}, environ={**os.environ, variable: value})
    except settings.Misconfigured as error:
        return error
    return loaded, [getattr(loaded, section) for section in setting_sections.SECTIONS]


@pytest.mark.parametrize(
    "option",
    [
        "--database-url=mysql://u:{}@h/d",
        "--database-url=mysql://u@h/d?password={}",
        "--database-url=mysql://u@h/d?%70asswd={}",
        "--database-url=mariadb://u@h/d?ssl-key=k&pwd={}",
        "--redis-url=redis://:{}@h",
        "--redis-url=redis://h?password={}",
        "--redis-url=redis://h?%70assword={}",
        "--redis-url=redis://h?db=0&passw%6Frd={}",
        "--redis-url=rediss://h?ssl_certfile=c&ssl_keyfile=k&ssl_password={}",
        "--redis-url=unix://u:{}@/run/redis.sock",
    ],
)
def test_a_password_on_the_command_line_is_refused_with_the_way_out(option: str, inside: Program):
    secret = Canaries().plant("an option")

    ended = inside(option.format(secret.quoted), "orders", "list")

    name = option.partition("=")[0]
    key = name[2:].replace("-", ".")
    assert ended.status == 2
    assert ended.err.startswith(
        f"orderctl: {name}: other users could read the password in the list of processes\n"
    )
    assert f"hint: set {environment.variable(key)}, or {key}_file in the configuration" in ended.err


@pytest.mark.parametrize("option", ["--database-url=sqlite:////x/a:b@c.db", "--redis-url=redis://u@h/0"])
def test_an_address_without_a_password_is_taken_on_the_command_line(option: str, inside: Program):
    assert "list of processes" not in inside(option, "config", "check").err
