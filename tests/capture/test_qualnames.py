"""Qualified names by source, as Python 3.10 needs them, are those that newer Pythons say."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator
from types import CodeType

import pytest

from inplace.capture.code import qualnames

MODULES = ["torch.amp.grad_scaler", "torch.optim.adam", "torch.optim.lbfgs", "torch.optim.optimizer"]


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code objects within one, but for those that Python names itself."""
    for part in code.co_consts:
        if isinstance(part, CodeType):
            if not part.co_name.startswith("<"):
                yield part
            yield from codes(part)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python itself says the names from 3.11 on")
@pytest.mark.parametrize("module", MODULES)
def test_the_source_says_what_python_says(module: str) -> None:
    """For each function of some files of PyTorch, decorated ones and ones within others included."""
    file = str(importlib.import_module(module).__file__)
    by_source = qualnames._by_source(file)
    whole = compile("".join(linecache.getlines(file)), file, "exec")
    functions = [code for code in codes(whole) if "." in code.co_qualname]
    functions = [code for code in functions if (code.co_name, code.co_firstlineno) in by_source]  # and no class bodies

    assert len(functions) > 3
    assert [code.co_qualname for code in functions] == [
        by_source[code.co_name, code.co_firstlineno] for code in functions
    ]


def test_without_a_source_the_plain_name_is_said() -> None:
    """As where the text of a cell is gone."""
    assert qualnames._by_source("<no such cell>") == {}
