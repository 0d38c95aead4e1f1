"""From which files a secret is read: by their mode, owner, kind and content."""

import os
import stat
from pathlib import Path

import pytest

from orderctl import secret_files, setting_sections, settings
from orderctl.errors import Misconfigured

GOOD = "3f9b1c7d5e2a8064b7c1d9e0f3a5827446b8d0c2e4f6a1937b5d8c0e2f4a6b81"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "a secret"
    file.write_text(GOOD)
    file.chmod(0o600)
    return file


def refusal(path: Path, key: str = "relay.token_secret_file") -> Misconfigured:
    with pytest.raises(Misconfigured) as refused:
        settings.load({}, environ={variable(key): str(path)})
    assert key.removesuffix("_file") in str(refused.value)
    assert GOOD not in str(refused.value)
    return refused.value


def variable(key: str) -> str:
    return f"ORDERCTL_{key.replace('.', '_').upper()}"


def load(path: Path) -> str | None:
    return settings.load({}, environ={variable("relay.token_secret_file"): str(path)}).relay.token_secret


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640, 0o444, 0o644])
def test_a_file_that_others_cannot_change_is_read(file: Path, mode: int):
    file.chmod(mode)

    assert load(file) == GOOD
    assert secret_files.is_exposed(file) == bool(mode & 0o004)


@pytest.mark.parametrize("mode", [0o666, 0o777, 0o602, 0o620, 0o660])
@pytest.mark.parametrize("key", [key for key, item in setting_sections.declared().items() if item.secret])
def test_a_file_that_others_can_change_is_refused(file: Path, mode: int, key: str):
    file.chmod(mode)

    refused = refusal(file, f"{key}_file")

    assert f"mode {mode:04o}" in str(refused)
    assert refused.hint == f"chmod 600 '{file}'"


def test_a_link_is_followed_and_its_target_is_checked(file: Path, tmp_path: Path):
    link = tmp_path / "..data"
    link.symlink_to(file)
    assert load(link) == GOOD

    file.chmod(0o666)
    assert "0666" in str(refusal(link))


@pytest.mark.parametrize(
    ("us", "owner", "good"), [(1000, 1000, True), (1000, 0, True), (0, 1001, True), (1000, 1001, False)]
)
def test_it_belongs_to_this_user_or_to_root(
    file: Path, monkeypatch: pytest.MonkeyPatch, us: int, owner: int, good: bool
):
    found = list(os.stat_result(file.stat()))
    found[stat.ST_UID] = owner
    monkeypatch.setattr(os, "geteuid", lambda: us)
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result(found))

    if good:
        assert load(file) == GOOD
    else:
        assert refusal(file).hint == f"sudo chown 1000 '{file}'"


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (f"{GOOD}\n", GOOD),
        (f"{GOOD}\r\n", GOOD),
        (f"\ufeff{GOOD}\n", GOOD),
        (f"  {GOOD}", f"  {GOOD}"),
    ],
)
def test_marks_and_line_breaks_around_it_do_not_count(file: Path, content: str, read: str):
    file.write_text(content, newline="")

    assert load(file) == read


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\r\n\n", "is empty"),
        (b" " * 40, "is empty"),
        (b"a\0" * 40, "NUL"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), "UTF-8"),
        (f"# the relay's\n{GOOD}\n".encode(), "more than one line"),
        (GOOD.encode() * 2000, "too large"),
        (GOOD[:20].encode(), "it has 20 characters"),
    ],
)
def test_content_that_is_not_a_secret(file: Path, content: bytes, why: str):
    file.write_bytes(content)

    assert why in str(refusal(file))


def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)

    assert "Is a directory" in str(refusal(tmp_path))
    assert "is a pipe" in str(refusal(pipe))
    assert "is a device" in str(refusal(Path("/dev/zero")))
    assert "No such file" in str(refusal(tmp_path / "none"))


@pytest.mark.parametrize("value", ["7", "[1]", "true", '""', '"a\\u0000b"', '"~none-of-us/x"'])
def test_a_name_that_is_not_a_path(tmp_path: Path, value: str):
    config = tmp_path / "c.toml"
    config.write_text(f"[relay]\ntoken_secret_file = {value}\n")
    config.chmod(0o600)

    with pytest.raises(Misconfigured, match=r"relay\.token_secret_file"):
        settings.load({}, config=config, environ={})


@pytest.mark.parametrize("setting", ['token_secret = "{}"', 'token_secret_file = "secret"'])
def test_a_configuration_with_secrets_that_every_user_can_change(tmp_path: Path, setting: str):
    config = tmp_path / "c.toml"
    config.write_text(f"[relay]\n{setting.format(GOOD)}\n")
    config.chmod(0o606)

    with pytest.raises(Misconfigured, match="every user can change it") as refused:
        settings.load({}, config=config, environ={})
    assert refused.value.hint == f"chmod 600 {config}"


@pytest.mark.parametrize("key", ["relay.token_secret", "notify.webhook_secret", "audit.seal_key"])
@pytest.mark.parametrize("value", [" " * 31 + "q", "qwertyui" * 4, "q" * 64, "qwertyuiop"])
def test_a_weak_secret_is_refused_and_not_repeated(key: str, value: str):
    with pytest.raises(Misconfigured, match=f"{key} .*needs 32 random") as refused:
        settings.load({}, environ={variable(key): value})

    assert refused.value.hint == "openssl rand -hex 32"
    assert value.strip() not in str(refused.value).replace(key, "") or value.strip() == "q"


@pytest.mark.parametrize("key", [key for key, item in setting_sections.declared().items() if item.secret])
@pytest.mark.parametrize("value", ["31415926535897932384", '["31415926535897932384"]'])
def test_no_secret_is_repeated_in_the_message_about_it(tmp_path: Path, key: str, value: str):
    section, _, name = key.partition(".")
    config = tmp_path / "c.toml"
    config.write_text(f"[{section}]\n{name} = {value}\n")
    config.chmod(0o600)

    with pytest.raises(Misconfigured) as refused:
        settings.load({}, config=config, environ={})

    assert key in str(refused.value)
    assert "31415926535897932384" not in str(refused.value)
