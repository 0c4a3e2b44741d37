"""Stand-ins for the CUDA libraries that a CUDA build of PyTorch is linked with, which are gigabytes.

On a machine without a GPU they are loaded, and asked for nothing but how many devices there are. Each stand-in has the
name of a library and all the functions and versions that PyTorch wants of it; every function says "no device".
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

_LIBRARY = re.compile(r"lib(cu|nv|nccl)")
_FUNCTION = re.compile(r"_*(cu|nv|nccl)")
_NEEDED = re.compile(r"\(NEEDED\).*\[(.*?)\]")
_FROM = re.compile(r"Version: \d+\s+File: (\S+)")
_VERSION = re.compile(r"Name: (\S+)\s+Flags")
_NO_DEVICE = 100  # cudaErrorNoDevice
_COLUMNS = 8  # of a line of `readelf --dyn-syms`


def put_stand_ins(site_packages: Path) -> list[str]:
    """Put stand-ins beside PyTorch's own libraries; gives their names. Needs `gcc` and `readelf`."""
    folder = site_packages / "torch" / "lib"
    libraries: set[str] = set()
    wanted: dict[tuple[str, str], set[str]] = defaultdict(set)  # functions, by library and version
    defined: set[str] = set()
    for file in sorted(folder.glob("*.so*")):
        if not _LIBRARY.match(file.name):
            libraries |= {name for name in _NEEDED.findall(_said("readelf", "-dW", file)) if _LIBRARY.match(name)}
            _read_functions(file, wanted, defined)
    libraries |= {library for library, _ in wanted if library}
    for library in libraries:
        versions = {version: functions for (of, version), functions in wanted.items() if of == library}
        _make(folder / library, versions or {"": wanted["", ""] - defined})
    return sorted(libraries)


def _read_functions(file: Path, wanted: dict[tuple[str, str], set[str]], defined: set[str]) -> None:
    """Note the functions of CUDA that a file wants, and what it defines."""
    owners: dict[str, str] = {}
    library = ""
    for line in _said("readelf", "-VW", file).splitlines():
        if (found := _FROM.search(line)) is not None:
            library = found[1]
        elif (found := _VERSION.search(line)) is not None and library:
            owners[found[1]] = library
    for line in _said("readelf", "--dyn-syms", "-W", file).splitlines():
        parts = line.split()
        if len(parts) < _COLUMNS or parts[4] not in {"GLOBAL", "WEAK"}:
            continue
        name, _, version = parts[7].replace("@@", "@").partition("@")
        if parts[6] != "UND":
            defined.add(name)
        elif version and _LIBRARY.match(owners.get(version, "")):
            wanted[owners[version], version].add(name)
        elif not version and _FUNCTION.match(name):
            wanted["", ""].add(name)


def _make(library: Path, versions: dict[str, set[str]]) -> None:
    """Compile a library with some functions, by the versions that they have there; `""` for none."""
    with tempfile.TemporaryDirectory() as folder:
        source, script = Path(folder) / "functions.c", Path(folder) / "versions"
        source.write_text("".join(sorted({_function(name) for names in versions.values() for name in names})))
        command = [
            "gcc",
            "-shared",
            "-fPIC",
            "-w",
            "-fno-builtin",
            f"-Wl,-soname,{library.name}",
            "-o",
            library,
            source,
        ]
        if "" not in versions:
            nodes = [f"{version} {{ global: {'; '.join(sorted(names))}; }};\n" for version, names in versions.items()]
            script.write_text("".join(nodes))
            command.append(f"-Wl,--version-script={script}")
        _said(*command)


def _function(name: str) -> str:
    if "String" in name or "ErrorName" in name:
        return f'const char *{name}(void) {{ return "no device"; }}\n'
    return f"int {name}(void) {{ return {_NO_DEVICE}; }}\n"


def _said(*command: object) -> str:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
