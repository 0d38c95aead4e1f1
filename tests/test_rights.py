"""The rights on Redis: the documented ACL rules suffice, and each one that is missing is named before anything is done."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import redis

from orderctl import broker, rights
from orderctl.errors import Misconfigured
from orderctl.redis_urls import Prefixed
from orderctl.rights import Part

PAGE = Path(__file__).parents[1] / "docs" / "running.md"
#: The users of the rules in docs/running.md, in their order, with what they are for.
USERS = {"orderctl": Part.WORK, "relay": Part.RELAY, "emitter": None}


def rules(user, prefix=""):
    """Return the words of a rule of the page, on and with the password ``pass``."""
    found = re.search(rf"ACL SETUSER {user} ((?:.*\\\n)*.*)", PAGE.read_text())
    assert found, user
    words = shlex.split(found[1].replace("\\\n", " "))
    return [
        word.replace(">PASSWORD", ">pass").replace("~", f"~{prefix}", 1).replace("&", f"&{prefix}", 1)
        for word in words
    ]


@pytest.fixture
def admin(own_redis):
    server = own_redis()
    with redis.Redis(port=server.port, decode_responses=True) as client:
        yield client


def client_of(admin, user, prefix=""):
    port = admin.connection_pool.connection_kwargs["port"]
    return broker.brisk(Prefixed(f"redis://{user}:pass@127.0.0.1:{port}/0", prefix))


@pytest.mark.parametrize("user", USERS)
def test_the_rule_of_the_page_can_be_pasted_into_a_shell(user):
    [command] = re.findall(
        rf"^    (redis-cli ACL SETUSER {user} (?:.*\\\n)*.*)", PAGE.read_text(), re.MULTILINE
    )
    script = command.replace("redis-cli", r"printf '%s\n'")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    given = [word.replace(">PASSWORD", ">pass") for word in done.stdout.split()]
    assert given == ["ACL", "SETUSER", user, *rules(user)]


@pytest.mark.parametrize("prefix", ["", "shop1:"])
def test_the_rules_of_the_page_suffice(admin, prefix):
    for user, part in USERS.items():
        admin.execute_command("ACL", "SETUSER", user, *rules(user, prefix))
        with client_of(admin, user, prefix) as client:
            for wanted in [part] if part else []:
                broker.require(client, wanted, "orderctl")
    with client_of(admin, "orderctl", prefix) as client:
        for wanted in Part:
            broker.require(client, wanted, "orderctl")

    denied = {entry["object"] for entry in admin.acl_log()}
    assert denied <= {"info", "client|setname"}  # see the page
    assert admin.keys() == []


@pytest.mark.parametrize("part", Part)
def test_each_missing_right_is_named(admin, part):
    admin.execute_command("ACL", "SETUSER", "u", "on", ">pass", "+@all", "~*", "&*")
    tried = rights.needs(part, str, "orderctl")
    with client_of(admin, "u") as client:
        for command in sorted({need.words[0].lower() for need in tried} | {"multi"}):
            admin.execute_command("ACL", "SETUSER", "u", f"-{command}")
            with pytest.raises(Misconfigured, match=rf"commands {command.upper()}\b") as caught:
                broker.require(client, part, "orderctl")
            assert re.search(rf"ACL SETUSER u '?\+{command}\b", caught.value.hint)
            admin.execute_command("ACL", "SETUSER", "u", f"+{command}")
        broker.require(client, part, "orderctl")


def paste(admin, hint: str) -> None:
    """Carry out a command of redis-cli, which names the server."""
    program, option, port, *words = shlex.split(hint)
    assert (program, option, port) == (
        "redis-cli",
        "-p",
        str(admin.connection_pool.connection_kwargs["port"]),
    )
    admin.execute_command(*words)


@pytest.mark.parametrize("part", Part)
def test_one_command_grants_all_rights_where_no_transaction_is_allowed(admin, part):
    admin.execute_command("ACL", "SETUSER", "u", "on", ">pass", "-@all", "+ping", "~*", "&*")
    with client_of(admin, "u") as client, pytest.raises(Misconfigured) as caught:
        broker.require(client, part, "orderctl")
    paste(admin, caught.value.hint)
    with client_of(admin, "u") as client:
        broker.require(client, part, "orderctl")


def test_all_that_is_missing_is_named_at_once(admin):
    admin.execute_command(
        "ACL", "SETUSER", "u", "on", ">pass", "+@all", "-eval", "-blmove", "~rq:*", "&order:*"
    )

    with client_of(admin, "u") as client, pytest.raises(Misconfigured) as caught:
        broker.require(client, Part.WORK, "orderctl")

    assert str(caught.value).endswith(
        "commands EVAL, BLMOVE; keys order:*, task:*, orderctl:*; channels task:*"
    ) or str(caught.value).endswith(
        "commands EVAL, BLMOVE; keys task:*, order:*, orderctl:*; channels task:*"
    )
    paste(admin, caught.value.hint)
    with client_of(admin, "u") as client:
        broker.require(client, Part.WORK, "orderctl")


def test_the_check_changes_nothing_and_notifies_nobody(admin):
    admin.execute_command("ACL", "SETUSER", "u", "on", ">pass", "+@all", "~*", "&*")
    with admin.pubsub() as listener, client_of(admin, "u") as client:
        listener.psubscribe("*")
        assert listener.get_message(timeout=5)["type"] == "psubscribe"

        for part in Part:
            broker.require(client, part, "orderctl")
        admin.publish("after", "x")

        assert listener.get_message(timeout=5)["channel"] == "after"
    assert admin.keys() == []


def test_a_full_server_lacks_no_right(admin):
    admin.execute_command("ACL", "SETUSER", "u", "on", ">pass", "+@all", "~*", "&*")
    admin.config_set("maxmemory", 1)

    with client_of(admin, "u") as client:
        broker.require(client, Part.WORK, "orderctl")


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("NOPERM User u has no permissions to run the 'get' command", True),
        ("NOPERM this user has no permissions to access one of the channels used as arguments", True),
        ("ERR ACL failure in script: No permissions to access a channel script: on @user_script:1.", True),
        ("ERR The user executing the script can't run this command or subcommand script: f_1", True),
        ("NOAUTH Authentication required.", True),
        ("WRONGPASS invalid username-password pair or user is disabled.", True),
        ("ERR AUTH <password> called without any password configured for the default user.", True),
        ("NOPROTO unsupported protocol version", True),
        ("ERR unknown command 'EVAL', with args beginning with: 'x'", True),
        ("ERR unknown command `EVAL`, with args beginning with: ", True),
        ("ERR DB index is out of range", True),
        ("DENIED Redis is running in protected mode because protected mode is enabled", True),
        ("OOM command not allowed when used memory > 'maxmemory'.", False),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.", False),
        ("READONLY You can't write against a read only replica.", False),
        ("LOADING Redis is loading the dataset in memory", False),
        ("ERR max number of clients reached", False),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
    ],
)
def test_a_refusal_is_not_an_outage(text, refusal):
    assert rights.is_refusal(text) is refusal


def test_a_command_that_is_renamed_is_named():
    found = rights.find_missing(
        rights.needs(Part.RELAY, str), ["ERR unknown command 'MGET'", *[None] * 8], None
    )

    assert found is not None
    assert "does not know the commands MGET" in str(found)
