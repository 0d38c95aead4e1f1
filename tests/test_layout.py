"""The folders of tests mirror the house: a test of ``orderctl/a/b.py`` is ``tests/a/test_b.py``.

``test_b_more.py`` tests a part of ``b`` that has grown too long for one file.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Folders of tests of something that is not a Python module of orderctl.
OTHER_FOLDERS = {
    "faults": "orders survive whatever dies, and the documents that promise it",
    "packaging": "the built wheel",
    "relay/page": "the dashboard's JavaScript, in a browser",
    "servers": "the servers that the tests start",
}
#: Tests that cut across modules, and why.
CROSS_CUTTING = {
    "cli/test_canaries.py": "no secret leaves orderctl, whatever fails and whoever asks",
    "cli/test_exit_codes.py": "all commands have the documented exit codes",
    "cli/test_odd_machines.py": "folders, homes and locales of odd machines",
    "cli/test_odd_rows.py": "odd values that other programs wrote, in all commands, the relay's API and the workers",
    "cli/test_odd_values.py": "an odd value of any argument, document or setting is refused",
    "cli/test_read_only.py": "accounts that may only read, and --read-only, in all commands",
    "cli/test_selection.py": "all commands that take a selection refuse an empty one",
    "cli/test_startup.py": "which modules each start of the program imports",
    "cli/test_terminal.py": "the whole program on a pseudo-terminal",
    "cli/test_widths.py": "all commands that show something, on narrow terminals",
    "doctor/test_faults.py": "each fault is planted, found, named and repaired, whatever module looks for it",
    "doctor/test_judgements.py": "measured values and the verdicts on them, in tables, of all modules of the doctor",
    "downloads/test_disk_full.py": "a full disk, wherever a download meets it",
    "downloads/test_hostile_servers.py": "malformed and hostile answers, wherever a download meets them",
    "downloads/test_leaks.py": "whatever a download opens is closed",
    "downloads/test_lies.py": "every lie of a server that we know of, in tables",
    "downloads/test_real_servers.py": "the web servers that course owners use",
    "downloads/test_tls.py": "certificates, from the address to the stream",
    "migrate/test_adoption.py": "the migration of each shop's database of the gallery",
    "migrate/test_fuzz.py": "random shops' databases",
    "migrate/test_interrupted.py": "migrations that are killed at any moment",
    "migrate/test_main_job.py": "whole orders on each database of the gallery",
    "migrate/test_removal.py": "the statements in docs/adopting.md that take orderctl out again",
    "migrate/test_sequelize.py": "a shop's programs under Node.js, and their table in docs/adopting.md",
    "relay/test_conformance.py": "RFC 6455, against the whole relay",
    "relay/test_conformance_families.py": "the Autobahn test suite's families of cases, against the whole relay",
    "relay/test_dashboard.py": "the shop's own dashboard with socket.io-client",
    "relay/test_pubsub.py": "what Redis shows of a relay, as docs/relay.md says",
    "relay/test_proxies.py": "the nginx and HAProxy configurations of docs/relay.md, and strange requests through them",
    "relay/test_socketio_clients.py": "Socket.IO clients, against the whole relay",
    "relay/test_viewers.py": "what a viewer's token shows, in all endpoints and live messages",
    "test_at_once.py": "whatever runs several times at once changes everything once",
    "test_developing.py": "what docs/developing.md mentions exists",
    "test_extending.py": "the examples in docs/extending.md",
    "test_hints.py": "commands in messages can be pasted",
    "test_layout.py": "this rule",
    "test_pictures.py": "the pictures of the documentation, and the script that makes them",
    "test_query_cost.py": "how many rows each query reads",
    "test_shell_blocks.py": "every shell block of README.md and docs/, and the lines for cron",
    "test_state_machine.py": "any sequence of the domain's verbs",
    "why/test_accounts.py": "what the account of the database may do that asks why",
    "why/test_documented.py": "every cause of why is documented and planted",
    "why/test_causes.py": "each cause of why: planted, named, and repaired as it is printed",
    "why/test_fault_points.py": "why names what a process leaves that died at a fault point, and repairs it",
    "worker/test_pm2.py": "the file docs/pm2/ecosystem.config.cjs",
    "cli/test_systemd.py": "the files of docs/systemd",
    "worker/test_pipeline.py": "whole orders through real supervisors",
}


def is_of_a_module(test: Path) -> bool:
    """Whether a test is named after a module or package at the same place of the house, or after a part of one."""
    words = test.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    folder = ROOT / "orderctl" / test.parent
    return any((folder / f"{name}.py").exists() or (folder / name).is_dir() for name in names)


def is_elsewhere(test: Path) -> bool:
    return any(test.is_relative_to(folder) for folder in OTHER_FOLDERS)


def test_each_test_is_where_its_module_is():
    tests = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")]

    astray = {str(test) for test in tests if not is_of_a_module(test) and not is_elsewhere(test)}

    assert len(tests) > 100
    assert astray == set(CROSS_CUTTING)


def test_the_other_folders_are_there():
    assert [folder for folder in OTHER_FOLDERS if not (ROOT / "tests" / folder).is_dir()] == []


def test_no_settings_of_a_trial_are_left_at_the_top():
    assert [path.name for path in ROOT.glob("*.toml")] == ["pyproject.toml"]
    assert not [path.name for path in ROOT.glob("*.db*")]
