"""The pytest plugin: `pytest --inplace` records each test, `--inplace-strict` also fails those with an error.

Without an option it does nothing, and imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

_SECTION = "inplace"
_LOUD = ("error", "warning")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("inplace", "in-place operations of PyTorch (torch-inplace)")
    group.addoption("--inplace", action="store_true", help="record each test, and tell of what was found in it")
    group.addoption("--inplace-strict", action="store_true", help="the same, and fail a test with an error among it")
    group.addoption("--inplace-light", action="store_true", help="note versions, saves and writes only, with --inplace")
    group.addoption(
        "--inplace-keep",
        metavar="MB",
        nargs="?",
        const="on",
        help="let go of what can't matter any more in tests of many calls, each 64 MB (or --inplace-keep=MB)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a window that is none."""
    given = config.getoption("inplace_keep")
    if given is not None:
        from inplace.shells.keep import window_of

        try:
            window_of(given, "--inplace-keep")
        except ValueError as wrong:
            raise pytest.UsageError(f"{wrong}.") from None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Record one test, and put what was found into its report."""
    strict = item.config.getoption("inplace_strict")
    recorder, seen = _begun(item) if strict or item.config.getoption("inplace") else (None, None)
    outcome: Any = yield
    if recorder is None:
        return
    error = outcome.excinfo[1] if outcome.excinfo else None
    try:
        found = _found(recorder, error, seen)
    except Exception as fault:  # of ours: the test ends as it would without us
        item.add_report_section("call", _SECTION, f"nothing was found, because of a fault of ours: {fault!r}")
        return
    finally:
        recorder.undo()
        if error is not None:
            recorder.strip(error)
    told = {one["severity"] for one in found.to_json()["diagnoses"]}
    if not told.isdisjoint(_LOUD):
        item.add_report_section("call", _SECTION, str(found))
        item.user_properties.append((_SECTION, str(found)))
        if strict and error is None and "error" in told:
            outcome.force_exception(pytest.fail.Exception(f"inplace found an error:\n\n{found}", pytrace=False))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell of what was found in tests that passed, whose sections pytest shows only when asked to."""
    told = [
        (report.nodeid, text)
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == _SECTION
    ]
    if told:
        terminalreporter.section("inplace: findings in tests that passed")
        for test, text in told:
            terminalreporter.write_line(f"{test}\n{text}\n")


def _begun(item: pytest.Item) -> tuple[Any, Any]:
    """A recorder of the file of a test that has begun, and what looks at its windows; None where none can, or does."""
    from inplace.shells.keep import window_of
    from inplace.shells.recorder import kept_by, recorder_of, windows_seen

    space, asked = vars(getattr(item, "module", None) or pytest), item.config.getoption
    seen = windows_seen(window_of(asked("inplace_keep")))
    how = {"light": asked("inplace_light"), "gives_way": True, **kept_by(seen)}
    recorder = recorder_of([str(item.path)], space, title=item.name, **how)
    try:
        recorder.start()
    except Exception as refused:
        item.add_report_section("call", _SECTION, f"not recorded: {refused}")
        return None, None
    return recorder, seen


def _found(recorder: Any, error: BaseException | None, seen: Any) -> Any:
    from inplace.shells.explanation import Explanation

    trace = recorder.stop(error)
    return Explanation.of(trace) if seen is None else seen.ended(recorder.session()[0], trace)
