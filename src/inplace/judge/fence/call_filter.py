"""The filter of system calls (seccomp): those that may act wait for the warden, the others go on at once."""

from __future__ import annotations

import ctypes
import platform
import struct

from inplace.judge.fence.kernel import system_call
from inplace.judge.fence.system_calls import LAST, ONLY, Bits, Values

# From linux/bpf_common.h and linux/seccomp.h.
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _ASK, _NO_SUCH_CALL, _END = 0x7FFF0000, 0x7FC00000, 0x00050000 | 38, 0x80000000
_SECCOMP = {"x86_64": 317}  # elsewhere the one of the shared table
_SECCOMP_SHARED = 277
_SET_FILTER, _NEW_LISTENER = 1, 1 << 3
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # where they are in what the filter reads


def ask_about(machine: int, numbers: dict[str, int]) -> int:
    """Have the kernel hold the calls of this process and its children; gives the file that tells of them.

    Raises:
        OSError: if the kernel has no such filter, or there is one already.
    """
    code = b"".join(_program(machine, numbers))
    kept = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept))
    number = _SECCOMP.get(platform.machine(), _SECCOMP_SHARED)
    return system_call(number, _SET_FILTER, _NEW_LISTENER, described)


def _program(machine: int, numbers: dict[str, int]) -> list[bytes]:
    steps = [
        *(_step(_LOAD, _MACHINE), _step(_EQUAL, machine, 1, 0), _step(_RETURN, _END)),
        *(_step(_LOAD, _NUMBER), _step(_GREATER, LAST, 0, 1), _step(_RETURN, _NO_SUCH_CALL)),
    ]
    for name, number in numbers.items():
        block = _asking(ONLY[name]) if name in ONLY else [_step(_RETURN, _ASK)]
        steps += [_step(_EQUAL, number, 0, len(block)), *block]
    return [*steps, _step(_RETURN, _ALLOW)]


def _asking(tests: tuple[Bits | Values, ...]) -> list[bytes]:
    """Ask where one of the tests is true: each jumps over what is left to the last step."""
    compared: list[tuple[int, int, int]] = []
    for test in tests:
        offset = _ARGUMENTS + 8 * test.argument
        if isinstance(test, Bits):
            compared.append((offset + 4 * test.high, _ANY_BIT, test.mask))
        else:
            compared += [(offset, _EQUAL, value) for value in test.values]
    steps = []
    for place, (offset, how, value) in enumerate(compared):
        left = len(compared) - place - 1
        steps += [_step(_LOAD, offset), _step(how, value, 2 * left + 1, 0)]
    return [*steps, _step(_RETURN, _ALLOW), _step(_RETURN, _ASK)]


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, when_true, when_false, value)
