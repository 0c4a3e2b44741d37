"""Compiles `capture/calls/shorthand.pyx` while hatchling builds the package; where that can't be, the package is pure.

An editable install has the result beside its source, a wheel in it, and is a wheel of this platform then. With
INPLACE_PURE set nothing is compiled: so the wheel for every other platform is made.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/inplace/capture/calls/shorthand.pyx")
MODULE = "inplace.capture.calls.shorthand"


def digest_of(source: Path) -> str:
    """SHA-256 of a source and of what lies beside it to be included."""
    texts = [source, *sorted(source.parent.glob("*.pxi"))]
    return hashlib.sha256(b"".join(text.read_bytes() for text in texts)).hexdigest()


def compiled(root: Path, folder: Path) -> Path:
    """Compile the module into a folder, and say where it is.

    Raises:
        ImportError: Cython or setuptools are not there.
        Exception: the compiler isn't there, or fails.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    digest = digest_of(root / SOURCE)
    extension = Extension(MODULE, [str(root / SOURCE)], define_macros=[("SOURCE_DIGEST", f'"{digest}"')])
    if os.name == "posix":
        extension.extra_compile_args = ["-g0"]  # which leaves a fifth of its size
    # The generated C stays out of the checkout.
    (module,) = cythonize([extension], build_dir=str(folder / "c"), quiet=True, force=True)
    command: Any = Distribution({"name": "inplace", "ext_modules": [module]}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "objects")
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(MODULE))


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """What hatchling asks before it builds; it looks for the one class of this kind."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, if it can be done."""
        if self.target_name != "wheel" or os.environ.get("INPLACE_PURE"):
            return
        root = Path(self.root)
        place = root / SOURCE.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
        self._folder = tempfile.TemporaryDirectory()
        try:
            found = compiled(root, Path(self._folder.name))
        except (Exception, SystemExit) as error:  # setuptools leaves by either
            self.app.display_warning(f"the recorder stays plain Python, about a third slower: {error}")
            if version == "editable":
                place.unlink(missing_ok=True)  # what an earlier install may have made of another source
            return
        if version == "editable":
            place.with_suffix(".new").write_bytes(found.read_bytes())
            place.with_suffix(".new").replace(place)  # a process that has the old one loaded keeps it
        else:
            build_data["force_include"][str(found)] = f"inplace/capture/calls/{place.name}"
            build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """The wheel is made."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
