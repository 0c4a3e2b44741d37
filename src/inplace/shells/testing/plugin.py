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
    """The two options."""
    group = parser.getgroup("inplace", "in-place operations of PyTorch (torch-inplace)")
    group.addoption("--inplace", action="store_true", help="record each test, and tell of what was found in it")
    group.addoption("--inplace-strict", action="store_true", help="the same, and fail a test with an error among it")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Record one test, and put what was found into its report."""
    strict = item.config.getoption("inplace_strict")
    recorder = _begun(item) if strict or item.config.getoption("inplace") else None
    outcome: Any = yield
    if recorder is None:
        return
    error = outcome.excinfo[1] if outcome.excinfo else None
    try:
        found = _found(recorder, error)
    except Exception as fault:  # of ours: the test ends as it would without us
        item.add_report_section("call", _SECTION, f"nothing was found, because of a fault of ours: {fault!r}")
        return
    finally:
        recorder.undo()
        if error is not None:
            recorder.strip(error)
    if any(one.severity in _LOUD for one in found.findings):
        item.add_report_section("call", _SECTION, str(found))
        item.user_properties.append((_SECTION, str(found)))
        if strict and error is None and any(one.severity == "error" for one in found.findings):
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


def _begun(item: pytest.Item) -> Any:
    """A recorder of the file of a test that has begun; None where none can."""
    from inplace.shells.recorder import recorder_of

    space = vars(getattr(item, "module", None) or pytest)
    recorder = recorder_of([str(item.path)], space, title=item.name, gives_way=True)
    try:
        recorder.start()
    except Exception as refused:
        item.add_report_section("call", _SECTION, f"not recorded: {refused}")
        return None
    return recorder


def _found(recorder: Any, error: BaseException | None) -> Any:
    from inplace.shells.explanation import Explanation

    return Explanation.of(recorder.stop(error))
