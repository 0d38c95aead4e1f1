"""Skipped tests: counted by reason at the end; failures when CI=true. A plugin."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from tests.servers.availability import ENVIRONMENT, NEEDS_ROOT


def must_be_whole(environment: Mapping[str, str] = ENVIRONMENT) -> bool:
    """Return whether a skipped test counts as failed: a build that silently skips tests proves nothing."""
    return environment.get("CI", "").lower() in ("true", "1")


def pytest_configure(config: pytest.Config) -> None:
    if must_be_whole():
        config.pluginmanager.register(NoSkips())


class NoSkips:
    """Turns each skip into a failure, except for tests that need root when the user is not root."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and not reason(report).startswith(NEEDS_ROOT):
            report.outcome = "failed"
            report.longrepr = f"{reason(report)} (not skipped, because CI is set)"
        return report


def reason(report: pytest.TestReport) -> str:
    """Return why a test was skipped."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skipped tests, a line for each reason."""
    skipped = Counter(reason(report) for report in terminalreporter.getreports("skipped"))
    if skipped:
        terminalreporter.section(f"{skipped.total()} skipped", cyan=True)
        for why, count in skipped.most_common():
            terminalreporter.line(f"{count:5}  {' '.join(why.split())}")
