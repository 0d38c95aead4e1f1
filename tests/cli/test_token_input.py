"""``orderctl relay token``, ``inspect``, ``revoke`` and ``revoked``."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import jwt
import pytest

from orderctl.relay import tokens
from tests.cli.conftest import Program
from tests.shop import Shop

SECRET = "a secret of sixty-four characters, as openssl rand -hex 32 makes one"

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def settings(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERCTL_RELAY_TOKEN_SECRET", SECRET)


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch):
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def mint(ttl: int = 3600) -> str:
    return tokens.mint(SECRET, scopes=["admin"], subject="ana", issued=int(time.time()), ttl=ttl)


def test_the_id_that_is_printed_revokes_the_token(inside: Program, type_in):
    made = inside("relay", "token", "--scope", "order:1", "--subject", "bo")
    hint = made.err.rpartition("revoke it: orderctl ")[2].split()

    done = inside(*hint)
    again = inside(*hint)

    type_in(made.out)
    [seen] = json.loads(inside("relay", "inspect", "-o", "json").out)
    [listed] = json.loads(inside("relay", "revoked", "-o", "json").out)
    assert (done.status, again.status) == (0, 0)
    assert done.err == "Revoked 1 token; relays close the connections within 5 s.\n"
    assert again.err == f"{hint[-1]} was revoked before.\n"
    assert (seen["token_id"], seen["state"], seen["subject"], seen["scopes"]) == (
        hint[-1],
        "revoked",
        "bo",
        ["order:1"],
    )
    assert listed["token_id"] == hint[-1]
    assert listed["revoked_by"] == seen["revoked_by"] != ""


def test_tokens_are_revoked_from_a_file_also_those_without_an_id(inside: Program, tmp_path: Path):
    claims = {"sub": "old", "scope": "admin", "exp": int(time.time()) + 60, "iss": "orderctl"}
    old, new, over = jwt.encode(claims, SECRET), mint(), mint(ttl=-5)
    file = tmp_path / "tokens"
    file.write_text(f"Bearer {old}\r\n\n{new}\n{over}\n")

    done = inside("relay", "revoke", "--from", str(file))

    states = [
        row["state"] for row in json.loads(inside("relay", "inspect", "--from", str(file), "-o", "json").out)
    ]
    assert states == ["revoked", "revoked", "expired"]
    assert "has expired; there is nothing to revoke" in done.err
    assert "Revoked 2 tokens" in done.err


def test_what_is_known_is_revoked_and_the_rest_is_an_error(inside: Program):
    known = tokens.read(SECRET, mint()).id
    typo = ("0" if known[0] != "0" else "1") + known[1:]

    done = inside("relay", "revoke", typo, known, "nonsense")

    assert done.status == 3
    assert "Revoked 1 token" in done.err
    assert f"{typo!r} is neither" in done.err
    assert "'nonsense' is neither" in done.err


@pytest.mark.parametrize("command", ["revoke", "inspect"])
@pytest.mark.parametrize(
    ("given", "status"),
    [("", 2), ("\n \n", 2), ("x", 3), (mint()[:-3], 3), (f"{mint()}x", 3), (mint().replace(".", " "), 3)],
)
def test_input_that_is_no_token(inside: Program, type_in, command: str, given: str, status: int):
    type_in(given)

    done = inside("relay", command)

    assert done.status == status
    assert done.out == ""
    assert "Traceback" not in done.err
    assert not given.strip() or len(given) < 30 or given.rpartition(".")[2] not in done.err


def test_a_token_as_an_argument_is_refused_and_not_repeated(inside: Program):
    token = mint()

    done = inside("relay", "revoke", token)

    assert done.status == 2
    assert "other users" in done.err
    assert token not in done.err
    assert json.loads(inside("relay", "revoked", "-o", "json").out) == []


def test_without_the_database_a_token_is_made_and_shown_and_not_revoked(
    inside: Program, type_in, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql://nobody@127.0.0.1:1/none")
    made = inside("relay", "token", "--scope", "admin", "-q")
    type_in(made.out)
    seen = inside("relay", "inspect", "-o", "json")
    refused = inside("relay", "revoke", tokens.read(SECRET, made.out.strip()).id)

    assert (made.status, made.err) == (0, "")
    assert (seen.status, json.loads(seen.out)[0]["state"]) == (0, "valid")
    assert "cannot tell whether a token was revoked" in seen.err
    assert refused.status == 69


@pytest.mark.parametrize("command", ["inspect", "revoke"])
def test_without_a_token_the_hint_names_the_same_command(inside: Program, type_in, command: str):
    type_in("\n")

    done = inside("relay", command)

    assert done.status == 2
    assert f"hint: orderctl relay {command} < FILE\n" in done.err
