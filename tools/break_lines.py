"""Breaks single lines of the package, one at a time, and says whether a test goes red: `python tools/break_lines.py`.

A line that no test misses when it is broken is a line that may be wrong. Each entry of `LINES` says what to break, how,
and which tests are expected to see it; these are run on a copy of the tree, first as it is and then with the line
broken. With words after it, only the entries are tried whose file, text or tests have one of them; with `--list`, none.

The exit status is 1 if a broken line was not seen, was not found, or kept the tests from being run at all.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("src", "tests", "notebooks", "pyproject.toml", "README.md", "LICENSE")
PYTEST = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no"]
WIDEST = 60  # characters of a line in the table
MOST = 600  # seconds for one run; a broken line may make a loop that never ends
PASSED, FAILED = 0, 1  # exit statuses of pytest; others say that it could not even begin


@dataclass(frozen=True, slots=True)
class Broken:
    """A line to break: in a file below `src/inplace`, a text that occurs once, and what is put in its place."""

    file: str
    text: str
    instead: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {_short(self.text)} -> {_short(self.instead) or 'nothing'}"

    @property
    def words(self) -> str:
        """What entries are picked by."""
        return " ".join([self.file, self.text, *self.tests])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"


ORACLE = "tests/test_oracle.py"
SAVES = "tests/checks/test_saves.py"
MESSAGES = "tests/render/test_messages.py"
PROPOSALS = "tests/fixes/test_proposals.py"
DIAGRAM = "tests/render/test_diagram.py"

LINES = (
    # ------------------------------------------------------------ facts
    Broken(
        "facts/model.py",
        "if self.states[a.before].counter not in counters and self._moved(a))",
        "if self._moved(a))",
        ("tests/facts/test_model.py",),
    ),
    Broken(
        "facts/model.py",
        "return before.version != after.version or before.storage != after.storage",
        "return before.version != after.version",
        ("tests/facts/test_model.py",),
    ),
    Broken("facts/rows.py", "if not 0 <= place < self._count:", "if not place < self._count:", ("tests/facts",)),
    Broken(
        "facts/rows.py",
        "return [NOTHING if value is None else value for value in values]",
        "return values",
        ("tests/facts",),
    ),
    Broken("facts/rows.py", "if states[old] or states[new]}", "if states[old]}", ("tests/facts",)),
    Broken("facts/rows.py", "(count > 1 and any(", "(count > 2 and any(", ("tests/facts",)),
    Broken(
        "facts/codec.py", "return value if math.isfinite(value) else {", "return value if True else {", ("tests/facts",)
    ),
    Broken("facts/codec.py", 'if value.get("format") != FORMAT:', "if False:", ("tests/facts",)),
    Broken(
        "facts/consistency.py",
        "yield 0 <= change.start <= change.stop",
        "yield True",
        ("tests/facts/test_consistency.py",),
    ),
    Broken(
        "facts/consistency.py",
        "yield all(0 <= use.saved < len(nodes[use.node].saved) for use in walk.uses if use.node in nodes)",
        "yield True",
        ("tests/facts/test_consistency.py",),
    ),
    Broken(
        "facts/consistency.py",
        "return step is None or BEFORE <= step < len(trace.calls)",
        "return True",
        ("tests/facts/test_consistency.py",),
    ),
    # ------------------------------------------------------------ capture: calls
    Broken("capture/calls/call_notes.py", "count < self.detailed", "count < 1", ("tests/capture/test_states.py",)),
    Broken(
        "capture/calls/call_notes.py",
        "or value._version != ref.version or value.data_ptr() != ref.pointer:",
        "or value._version != ref.version:",
        ("tests/capture/test_states.py",),
    ),
    Broken(
        "capture/calls/call_notes.py",
        "if ended == begun + 1 and not known.backward:",
        "if ended > begun and not known.backward:",
        ("tests/capture/test_states.py",),
    ),
    Broken(
        "capture/calls/functions.py",
        'return kwargs.get("inplace") is True',
        "return False",
        ("tests/capture/test_functions.py",),
    ),
    Broken("capture/calls/functions.py", "or argument.is_out:", "or False:", ("tests/capture/test_functions.py",)),
    Broken(
        "capture/calls/functions.py",
        '"torch.batch_norm": (5,',
        '"torch.batch_nor": (5,',
        ("tests/capture/test_functions.py",),
    ),
    Broken(
        "capture/calls/strict.py",
        "if tensor._version != version:",
        "if tensor._version > version + 1:",
        ("tests/capture/test_strict.py",),
    ),
    Broken(
        "capture/calls/strict.py",
        "        set_versions(tensors, versions)",
        "        pass",
        ("tests/capture/test_strict.py",),
    ),
    Broken("capture/calls/strict.py", "if not is_counted(function):", "if False:", ("tests/capture/test_strict.py",)),
    Broken(
        "capture/calls/optimizer_steps.py",
        "and not optimizer._optimizer_step_post_hooks",
        "",
        ("tests/capture/test_optimizer_steps.py",),
    ),
    Broken(
        "capture/calls/optimizer_steps.py",
        "self._notes.log.raised[self._step] = _LEFT",
        "",
        ("tests/capture/test_optimizer_steps.py",),
    ),
    # ------------------------------------------------------------ capture: tables
    Broken(
        "capture/tables/counters.py",
        "if tensor._version != known.version:",
        "if False:",
        ("tests/capture/test_counters.py",),
    ),
    Broken("capture/tables/counters.py", "if not own:", "if True:", ("tests/capture/test_counters.py", SAVES)),
    Broken(
        "capture/tables/tensors_seen.py",
        "base_id = self._known_id(base) if base is not None else None",
        "base_id = None",
        ("tests/checks/test_refused_writes.py",),
    ),
    Broken(
        "capture/tables/memory.py",
        "if begin <= start and owner() is not None and start + size <= begin",
        "if begin == start and owner() is not None and start + size == begin",
        (SAVES,),
    ),
    Broken("capture/tables/tensor_facts.py", "flags = _LEAF if owner.is_leaf else 1", "flags = 1", (MESSAGES, ORACLE)),
    # ------------------------------------------------------------ capture: graph, bytes, code, patches, freezing
    Broken(
        "capture/graph/walk.py",
        "edges.append((place, number))",
        "edges.append((place, 0))",
        ("tests/capture/test_walk.py",),
    ),
    Broken(
        "capture/graph/walk.py",
        "for node in islice(met, self._limit):",
        "for node in met:",
        ("tests/capture/test_walk.py",),
    ),
    Broken(
        "capture/graph/walk.py",
        "for one, value in _attributes_kept(node)]",
        "for one, value in []]",
        ("tests/capture/test_walk.py",),
    ),
    Broken(
        "capture/freeze.py", 'wanted = [("result", "0")] if label in _KEEP_RESULT else []', "wanted = []", (ORACLE,)
    ),
    Broken(
        "capture/freeze.py",
        'if name.startswith("result"):',
        "if False:",
        (ORACLE,),
    ),
    Broken("capture/freeze.py", "return repr(now) != repr(match.values)", "return None", (ORACLE, SAVES)),
    Broken(
        "capture/freeze.py",
        "return tuple(Name(*facts) for facts in raw.names if last.get(facts[1]) in touched)",
        "return tuple(Name(*facts) for facts in raw.names)",
        ("tests/capture/test_contents.py",),
    ),
    Broken(
        "capture/bytes/contents.py",
        "start, stop = differing[0], differing[-1] + 1",
        "pass",
        ("tests/capture/test_contents.py",),
    ),
    Broken(
        "capture/bytes/contents.py",
        "for watched in self.watched.values():\n            self._take(watched, after)\n\n    def look_asleep",
        "pass\n\n    def look_asleep",
        ("tests/capture/test_contents.py",),
    ),
    Broken(
        "capture/bytes/foreign_memory.py",
        "if count == size:",
        "if count >= 0:",
        ("tests/capture/test_foreign_memory.py",),
    ),
    Broken("capture/code/stacks.py", "frame.f_code.co_flags & _SUSPENDED or", "", ("tests/capture/test_stacks.py",)),
    Broken(
        "capture/code/stacks.py",
        "                if len(key) > 3 * _DEEPEST:\n",
        "                if False:\n",
        ("tests/capture/test_contents.py",),
    ),
    Broken(
        "capture/code/positions.py",
        "islice(code.co_positions(), instruction // 2, None)",
        "islice(code.co_positions(), 0, None)",
        ("tests/capture/test_stacks.py", SAVES),
    ),
    Broken(
        "capture/code/names.py",
        'if not name.startswith("_") and name not in {"In", "Out"}',
        "",
        ("tests/capture/test_names.py",),
    ),
    Broken(
        "capture/code/names.py", "if sys.getrefcount(found) <= _OURS:", "if False:", ("tests/capture/test_names.py",)
    ),
    Broken(
        "capture/code/tracebacks.py",
        "queue += [one.__cause__, one.__context__,",
        "queue += [one.__cause__,",
        ("tests/capture/test_tracebacks.py",),
    ),
    Broken(
        "capture/patches/mode_stack.py",
        "        for other in standing.above:\n            push(other)\n    return standing",
        "    return standing",
        ("tests/capture/test_mode_stack.py",),
    ),
    Broken(
        "capture/patches/ledger.py",
        "        if self._own is _NOTHING:\n            delattr(self.owner, self.name)",
        "        if False:\n            delattr(self.owner, self.name)",
        ("tests/capture/test_undo.py",),
    ),
    Broken(
        "capture/told.py",
        "self._ledger.make(Hooked(register_optimizer_step_post_hook, self._after_step, after))",
        "register_optimizer_step_post_hook(self._after_step)",
        ("tests/capture/test_undo.py",),
    ),
    # ------------------------------------------------------------ reading
    Broken(
        "reading/trace/lineage.py", "if made is None or write.call.step > made.step:", "if False:", ("tests/reading",)
    ),
    Broken(
        "reading/trace/lineage.py", "if made is None or write.call.step > made.step:", "if True:", ("tests/reading",)
    ),
    Broken("reading/trace/lineage.py", "if write.call.step >= before:", "if False:", ("tests/reading",)),
    Broken(
        "reading/trace/lineage.py",
        "return not any(index.trace.states[argument.before].tensor == tensor for argument in call.inputs)",
        "return True",
        ("tests/checks/test_graph_detached.py",),
    ),
    Broken(
        "reading/trace/overlaps.py",
        "if one.storage is None or one.storage != two.storage:",
        "if one.storage is None:",
        ("tests/reading/test_overlap_corners.py", "tests/reading/test_overlaps.py"),
    ),
    Broken(
        "reading/trace/overlaps.py",
        "for place in range(1, len(dims))",
        "for place in range(2, len(dims))",
        ("tests/reading/test_overlap_corners.py", "tests/reading/test_overlaps.py"),
    ),
    Broken(
        "reading/trace/overlaps.py",
        "offset * layout.itemsize, layout.shape",
        "offset, layout.shape",
        ("tests/reading/test_overlap_corners.py", "tests/reading/test_overlaps.py"),
    ),
    Broken(
        "reading/source/code.py",
        "and (best is None or found.line >= best.line)\n            ):",
        "and best is None\n            ):",
        ("tests/reading/test_code.py",),
    ),
    Broken(
        "reading/source/code.py",
        "return (ast.unparse(target.elts[number]),) if",
        "return (ast.unparse(target.elts[0]),) if",
        ("tests/reading/test_code.py",),
    ),
    Broken(
        "reading/trace/history.py",
        "while position >= 0 and steps[position] in self.columns.raised:",
        "while False:",
        ("tests/reading/test_places.py",),
    ),
    Broken(
        "reading/trace/places.py",
        "if found and not sources[self.site(stack.frames[0]).source].is_cell:",
        "if False:",
        ("tests/reading/test_places.py",),
    ),
    # ------------------------------------------------------------ checks
    Broken(
        "reading/writes/saves.py", "(w.after.version or 0) > saved_at", "(w.after.version or 0) >= saved_at", (SAVES,)
    ),
    Broken(
        "reading/writes/saves.py",
        "not write.counted or write.after.counter != one.use.counter",
        "not write.counted",
        (SAVES, ORACLE),
    ),
    Broken(
        "reading/writes/saves.py",
        "key=lambda one: (one.walk.step, -one.node.id)",
        "key=lambda one: (one.walk.step, one.node.id)",
        (SAVES,),
    ),
    Broken(
        "reading/writes/saves.py",
        "*(write for write in after if touches(index, one.saved, write.after))",
        "*after",
        (SAVES,),
    ),
    Broken(
        "reading/writes/saves.py",
        "writes_after(index, one) if _hidden(one, write) and changed(write)]",
        "writes_after(index, one) if _hidden(one, write)]",
        (SAVES,),
    ),
    Broken(
        "reading/writes/saves.py",
        "[write for write in writes if begun <= write.call.step < one.walk.step]",
        "[write for write in writes if begun < write.call.step < one.walk.step]",
        (ORACLE,),
    ),
    Broken("reading/writes/saves.py", "return start < change.stop and change.start < stop", "return True", (SAVES,)),
    Broken(
        "reading/gradients/lost.py",
        "told = reached_leaves(index) | left",
        "told = set(left)",
        ("tests/checks/test_graph_detached.py",),
    ),
    Broken(
        "reading/gradients/reached.py",
        "if not call.outputs:\n            wanted",
        "if True:\n            wanted",
        ("tests/checks/test_graph_detached.py",),
    ),
    Broken(
        "reading/sharing/sharing_names.py",
        "later = [write for write in writes if write.call.step >= born[:2][-1]]",
        "later = writes",
        ("tests/checks/test_shared_reference.py",),
    ),
    Broken(
        "reading/sharing/sharing_names.py",
        "[write for write in later if not is_initial(write.call) and not sets_data(write.call.function)]",
        "later",
        ("tests/checks/test_shared_reference.py",),
    ),
    Broken(
        "reading/writes/swaps.py",
        "return len(values) > 1 or (len(values) == 0 and index.overlaps.of(write.after, view))",
        "return True",
        ("tests/checks/test_shared_reference.py",),
    ),
    Broken(
        "checks/custom_function.py", "if node.name in _VIEWING:", "if False:", ("tests/checks/test_custom_function.py",)
    ),
    Broken(
        "checks/custom_function.py",
        "any(other < edited.id for other in others)",
        "others",
        ("tests/checks/test_custom_function.py",),
    ),
    Broken(
        "checks/overlapping_write.py",
        'whole = write.call.function.label in {"fill_", "zero_"}',
        "whole = False",
        ("tests/checks/test_overlapping_write.py",),
    ),
    Broken(
        "checks/overlapping_write.py",
        "same = target.offset == source.offset and target.layout == source.layout",
        "same = False",
        ("tests/checks/test_overlapping_write.py",),
    ),
    Broken(
        "reading/writes/repeated_indices.py",
        "return len(set(places)) < len(places)",
        "return True",
        ("tests/checks/test_overlapping_write.py",),
    ),
    Broken(
        "reading/writes/refusals.py",
        ' and not (of_leaf and creation == "no_grad_mode"):',
        ":",
        ("tests/checks/test_refused_writes.py",),
    ),
    Broken(
        "checks/safe_in_place.py",
        "if storage in spoiled or key in told",
        "if key in told",
        ("tests/checks/test_safe_in_place.py",),
    ),
    Broken(
        "checks/thrift.py",
        "return self._is_dead_after(call, given) and not self._is_kept(given.storage)",
        "return self._is_dead_after(call, given)",
        ("tests/checks/test_thrift.py",),
    ),
    # ------------------------------------------------------------ fixes
    Broken(
        "fixes/editing.py",
        "for edit in sorted(edits, key=lambda one: (one.position.start, one.position.end), reverse=True):",
        "for edit in edits:",
        (PROPOSALS,),
    ),
    Broken(
        "facts/source_code.py",
        'return not before and (not after or after.startswith(b"#"))',
        "return True",
        (PROPOSALS,),
    ),
    Broken("fixes/editing.py", "if first + last == len(one) and last:", "if False:", ("tests/fixes/test_editing.py",)),
    Broken(
        "checks/shared_reference.py",
        'return self.how == "snapshot" and self.storage in broken',
        "return False",
        ("tests/checks/test_shared_reference.py",),
    ),
    # ------------------------------------------------------------ judge
    Broken(
        "judge/compare.py",
        "    if other is not None:\n",
        "    if False:\n",
        ("tests/judge/test_compare.py",),
    ),
    Broken(
        "judge/compare.py",
        "if any(about.is_found_by(one, rewrites) for one in answer.findings):",
        "if False:",
        ("tests/judge/test_compare.py",),
    ),
    Broken(
        "judge/compare.py",
        "return len(ones) == len(twos) and all(map(_equal, ones, twos))",
        "return all(map(_equal, ones, twos))",
        ("tests/judge/test_compare.py",),
    ),
    Broken(
        "judge/fence/decisions.py",
        "return bool(flags & _O_PATH) or not flags & WRITING",
        "return True",
        ("tests/judge/test_proof.py::test_no_file_is_touched", "tests/judge/test_fence.py"),
    ),
    # ------------------------------------------------------------ render
    Broken(
        "render/words/evidence.py",
        "if not saved or not written or saved == written:",
        "if not saved or not written:",
        ("tests/render/test_words.py",),
    ),
    Broken("render/words/parts.py", "if _is_leaf_update(place, trace):", "if False:", ("tests/render/test_words.py",)),
    Broken(
        "render/words/setting.py",
        'letter if letter.isprintable() or letter == "\\n" else',
        "letter if True else",
        ("tests/render/test_words.py",),
    ),
    Broken("render/words/keeps.py", '    ("Mul", "other"): "its factors",\n', "", (MESSAGES, "tests/render")),
    Broken("render/picture/curves.py", "moved[died + 1 - BEFORE] -= size", "moved[died - BEFORE] -= size", (DIAGRAM,)),
    Broken(
        "render/picture/html.py",
        "        text = text.replace(letter, escape)\n",
        "        pass\n",
        ("tests/render/test_html.py",),
    ),
    Broken(
        "render/picture/timeline.py", "if begin != loop or (begin and at < statement):", "if begin != loop:", (DIAGRAM,)
    ),
    Broken(
        "render/js/run.js",
        "return one.some(([start, stop]) => two.some(([from, to]) => start < to && from < stop));",
        "return true;",
        ("tests/browser/test_page.py::test_choosing_a_line_links_the_panes",),
    ),
    Broken(
        "render/js/elements.js",
        "const size = Math.abs(value);",
        "const size = Math.abs(valu);",
        ("tests/render/test_script_types.py",),
    ),
    # ------------------------------------------------------------ shells
    Broken(
        "shells/terminal/options.py",
        "position += 2 if word in _WITH_VALUE else 1",
        "position += 1",
        ("tests/test_cli.py::test_json_on_standard_output",),
    ),
    Broken(
        "shells/terminal/ending.py",
        "if error is None or isinstance(error, SystemExit):",
        "if error is None:",
        ("tests/test_cli.py::test_the_error_of_the_json",),
    ),
    Broken(
        "shells/terminal/ending.py",
        "if isinstance(error, SyntaxError) and error.filename:",
        "if False:",
        ("tests/test_cli.py::test_the_error_of_the_json",),
    ),
    Broken(
        "shells/notebook/session.py",
        "if len(asked) > 1:",
        "if False:",
        ("tests/test_magic.py::test_twice_above_a_cell_is_one_sentence",),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Break the lines that are asked for; give the exit status."""
    words = [word for word in arguments if not word.startswith("-")]
    chosen = [one for one in LINES if not words or any(word in one.words for word in words)]
    if "--list" in arguments:
        print("\n".join(map(str, chosen)))
        return 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests send it; shells have it ignored in the background
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        copy = _copied(Path(folder))
        passing: dict[tuple[str, ...], bool] = {}
        found = []
        for number, one in enumerate(chosen, start=1):
            begun = time.perf_counter()
            verdict = _verdict(copy, one, passing)
            found.append(verdict)
            took = time.perf_counter() - begun
            print(f"{number:3}/{len(chosen)}  {verdict:10} {took:5.0f} s  {one}", flush=True)
    counts = {verdict: found.count(verdict) for verdict in dict.fromkeys(found)}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "no line has one of these words")
    return 0 if set(found) == {"seen"} else 1


def _copied(folder: Path) -> Path:
    """A copy of the tree in which lines may be broken."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def _verdict(copy: Path, one: Broken, passing: dict[tuple[str, ...], bool]) -> str:
    """What became of one entry: `seen`, `NOT SEEN`, or why that can't be told."""
    file = copy / "src" / "inplace" / one.file
    whole = file.read_text(encoding="utf-8") if file.exists() else ""
    if whole.count(one.text) != 1:
        return "NOT FOUND"
    if one.tests not in passing:
        passing[one.tests] = _status(copy, one.tests) == PASSED
    if not passing[one.tests]:
        return "RED BEFORE"
    file.write_text(whole.replace(one.text, one.instead), encoding="utf-8")
    try:
        status = _status(copy, one.tests)
    finally:
        file.write_text(whole, encoding="utf-8")
    return {PASSED: "NOT SEEN", FAILED: "seen"}.get(status, "NOT RUN")


def _status(copy: Path, tests: Sequence[str]) -> int:
    """The exit status of pytest on some tests of the copy; one that does not end has failed."""
    # No compiled files: Python tells by the second whether a file has changed, and lines are broken and mended in less.
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1", "INPLACE_STATIC": "1"}
    try:
        done = subprocess.run(
            [sys.executable, *PYTEST, *tests], cwd=copy, env=environment, capture_output=True, timeout=MOST, check=False
        )
    except subprocess.TimeoutExpired:
        return FAILED
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
