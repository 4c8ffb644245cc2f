"""Link object files into a shared library, for this machine or another.

    for this machine     gcc, cc or clang
    for another          TRIPLE-gcc, as Debian's packages name it
    for either           the `ziglang` package, which holds a linker and libc's symbols for all

The compilers only link; nothing of theirs becomes part of the library.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence

from rtcompile.errors import ToolchainError
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.targets import CpuTarget

__all__ = ["find_linker", "link"]

_NATIVE = ("gcc", "cc", "clang")


def find_linker(target: CpuTarget) -> tuple[str, ...]:
    """The command that links for `target`. Raises ToolchainError that says what to install."""
    native = platform.machine() == target.machine
    for name in _NATIVE if native else (f"{target.triple}-gcc",):
        found = shutil.which(name)
        if found is not None:
            return (found,)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc", "-target", target.triple)
    package = "gcc" if native else f"gcc-{target.machine.replace('_', '-')}-linux-gnu"
    raise ToolchainError(
        f"there is no linker for {target.name} on this machine: install {package}, or "
        "pip install 'rtcompile[cross]'"
    )


def link(linker: tuple[str, ...], objects: Sequence[bytes]) -> bytes:
    """The bytes of a stripped shared library of object files. Raises ToolchainError.

    What TVM's runtime looks up is all that others see of it.
    """
    with scratch_folder() as folder:
        files = [folder / f"{number}.o" for number in range(len(objects))]
        for file, data in zip(files, objects, strict=True):
            file.write_bytes(data)
        output, visible = folder / "module.so", folder / "visible.map"
        visible.write_text("{ global: __tvm_ffi_*; local: *; };\n", "ascii")
        hidden = f"-Wl,--version-script={visible}"
        inputs = [str(file) for file in files]
        command = [*linker, "-shared", "-fPIC", "-s", hidden, "-o", str(output), *inputs, "-lm"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ToolchainError(
                f"{command[0]} cannot be started: {error.strerror or error}"
            ) from error
        if done.returncode != 0:
            raise ToolchainError(f"linking failed: {' '.join(command)}\n{done.stderr.strip()}")
        return output.read_bytes()
