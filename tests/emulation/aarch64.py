"""Run an AArch64 library on any machine: an emulated CPU that shares this process's memory.

The library is loaded as the dynamic linker would. The emulated CPU sees every page of this process
at its own address (mapped when it is first touched), so arrays are passed by their addresses and
nothing is copied. A function that the library imports is a stub; when the CPU arrives there, this
process's own function is called in its place. An access outside of the process's memory raises.

    module = Library(Path("module.so"))
    module["cross"](0, 100, constants, workspace, status, inputs, outputs)   # as tvm_ffi's modules
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from unicorn import (
    UC_ARCH_ARM64,
    UC_HOOK_CODE,
    UC_HOOK_MEM_UNMAPPED,
    UC_MODE_ARM,
    UC_PROT_ALL,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
)
from unicorn.arm64_const import (
    UC_ARM64_REG_CPACR_EL1,
    UC_ARM64_REG_D0,
    UC_ARM64_REG_LR,
    UC_ARM64_REG_PC,
    UC_ARM64_REG_S0,
    UC_ARM64_REG_SP,
    UC_ARM64_REG_X0,
    UC_CPU_ARM64_MAX,
)

_PAGE = mmap.PAGESIZE
_MOST_PAGES = 256  # of a mapping
_STACK = 1 << 20
_ABSOLUTE, _DATA, _CALL, _RELATIVE = 257, 1025, 1026, 1027  # R_AARCH64_ABS64, GLOB_DAT, ...
_INTEGER, _FLOAT64, _TENSOR = 1, 3, 7  # TVMFFIAny's type_index; a tensor is a DLTensor*
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}  # DLDataTypeCode by numpy's kind

_P, _N, _I, _D, _F = (
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int32,
    ctypes.c_double,
    ctypes.c_float,
)
_LIBM = ctypes.CDLL("libm.so.6")
_LIBC = ctypes.CDLL("libc.so.6")
_LIBC_TYPES: dict[str, tuple[Any, ...]] = {  # result, then arguments
    "memcpy": (_P, _P, _P, _N),
    "memmove": (_P, _P, _P, _N),
    "memset": (_P, _P, _I, _N),
    "memcmp": (_I, _P, _P, _N),
    "strtod": (_D, _P, _P),
    "snprintf": (_I, _P, _N, _P, _I, _D),  # as the format "%.*g" takes them
}


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", _P),
        ("device", _I * 2),
        ("ndim", _I),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(_N)),
        ("strides", _P),
        ("byte_offset", ctypes.c_uint64),
    )


class EmulationError(Exception):
    """The code left its memory, or the function reported an error."""


class Library:
    """A loaded library; its functions by name, as in a module of tvm_ffi. Calls take turns."""

    def __init__(self, path: Path) -> None:
        self._cpu = Uc(UC_ARCH_ARM64, UC_MODE_ARM)
        self._cpu.ctl_set_cpu_model(UC_CPU_ARM64_MAX)
        self._cpu.reg_write(UC_ARM64_REG_CPACR_EL1, 3 << 20)  # vector instructions do not trap
        self._cpu.hook_add(UC_HOOK_MEM_UNMAPPED, self._map)
        self._turn = threading.Lock()
        self._mapped: set[int] = set()
        self._stack = mmap.mmap(-1, _STACK)
        self._imports: list[tuple[str, Any]] = []
        self._stubs = mmap.mmap(-1, _PAGE)
        self._stub_base = _address(self._stubs)
        self._symbols: dict[str, int] = {}
        self._image = self._load(path)
        # Code is the library's alone: to call this process's own is an error.
        for memory in (self._image, self._stubs):
            self._show(_address(memory), len(memory) // _PAGE, UC_PROT_ALL)
        self._cpu.hook_add(
            UC_HOOK_CODE, self._call_import, None, self._stub_base, self._stub_base + _PAGE - 1
        )
        self._failure: Exception | None = None

    def __getitem__(self, name: str) -> Callable[..., None]:
        address = self.address(name)
        return lambda *arguments: self._call_packed(name, address, arguments)

    def address(self, name: str) -> int:
        """Of the packed function `name`."""
        return self._symbols[f"__tvm_ffi_{name}"]

    # -- loading ------------------------------------------------------------------------------

    def _load(self, path: Path) -> Any:
        with path.open("rb") as file:
            elf = ELFFile(file)
            assert elf.get_machine_arch() == "AArch64", elf.get_machine_arch()
            segments = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            size = max(s["p_vaddr"] + s["p_memsz"] for s in segments)
            image = mmap.mmap(-1, -(-size // _PAGE) * _PAGE)
            for segment in segments:
                data, at = segment.data(), segment["p_vaddr"]
                image[at : at + len(data)] = data
            (dynamic,) = (s for s in elf.iter_segments() if isinstance(s, DynamicSegment))
            base = _address(image)
            symbols = list(dynamic.iter_symbols())
            self._symbols = {s.name: base + s["st_value"] for s in symbols if s["st_value"]}
            for table in dynamic.get_relocation_tables().values():
                for entry in table.iter_relocations():
                    value = self._relocated(entry, symbols, base)
                    struct.pack_into("<Q", image, entry["r_offset"], value)
        return image

    def _relocated(self, entry: Any, symbols: list[Any], base: int) -> int:
        kind, addend = entry["r_info_type"], int(entry["r_addend"])
        if kind == _RELATIVE:
            return base + addend
        assert kind in (_ABSOLUTE, _DATA, _CALL), kind
        name = symbols[entry["r_info_sym"]].name
        if name not in self._symbols:
            self._symbols[name] = self._stub_base + 4 * len(self._imports)
            self._imports.append((name, _import(name)))
        return self._symbols[name] + addend

    # -- memory -------------------------------------------------------------------------------

    def _map(self, cpu: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        """Show the CPU the pages from `address` on that are this process's and not shown yet."""
        first = address // _PAGE
        end = _end_of_mapping(address)
        if first in self._mapped:  # an access over a page's end
            first += 1
            end = _end_of_mapping(first * _PAGE)
        if end is None:
            return False
        count = 1
        while (
            count < _MOST_PAGES
            and first + count not in self._mapped
            and (first + count + 1) * _PAGE <= end
        ):
            count += 1
        at = first * _PAGE
        self._show(at, count, UC_PROT_READ | UC_PROT_WRITE)
        return True

    def _show(self, at: int, pages: int, rights: int) -> None:
        self._cpu.mem_map_ptr(at, pages * _PAGE, rights, ctypes.c_void_p(at))
        self._mapped.update(range(at // _PAGE, at // _PAGE + pages))

    # -- calls --------------------------------------------------------------------------------

    def _call_packed(self, name: str, address: int, arguments: tuple[Any, ...]) -> None:
        """`int function(void* self, TVMFFIAny* arguments, int32 count, TVMFFIAny* result)`."""
        held: list[Any] = []
        words = np.zeros(2 * (len(arguments) + 1), np.int64)
        for index, argument in enumerate(arguments):
            kind, payload = _packed(argument, held)
            words[2 * index : 2 * index + 2] = kind, payload
        result = words[2 * len(arguments) :]
        with self._turn:
            status = self.call(address, 0, words.ctypes.data, len(arguments), result.ctypes.data)
        if status & 0xFFFFFFFF:
            raise EmulationError(f"{name} returned {status & 0xFFFFFFFF}")

    def call(self, address: int, *arguments: int) -> int:
        """Call the function at `address` with integers and pointers; returns x0."""
        self._failure = None
        home = self._stub_base + _PAGE - 4  # where it returns to: nothing is there
        for register, argument in enumerate(arguments):
            self._cpu.reg_write(UC_ARM64_REG_X0 + register, argument)
        self._cpu.reg_write(UC_ARM64_REG_SP, _address(self._stack) + _STACK - 64)
        self._cpu.reg_write(UC_ARM64_REG_LR, home)
        try:
            self._cpu.emu_start(address, home)
        except UcError as error:
            at = self._cpu.reg_read(UC_ARM64_REG_PC) - _address(self._image)
            raise EmulationError(f"{error} at {at:#x} of the library") from self._failure
        if self._failure is not None:
            raise self._failure
        return int(self._cpu.reg_read(UC_ARM64_REG_X0))

    def _call_import(self, cpu: Any, address: int, size: int, data: Any) -> None:
        index = (address - self._stub_base) // 4
        if index >= len(self._imports):
            return
        name, function = self._imports[index]
        try:
            if function is None:
                raise EmulationError(f"the library called {name}")
            self._call_host(cpu, function)
        except Exception as error:  # nothing may pass through the emulator's C code
            self._failure = error
            cpu.emu_stop()
            return
        cpu.reg_write(UC_ARM64_REG_PC, cpu.reg_read(UC_ARM64_REG_LR))

    def _call_host(self, cpu: Any, function: Any) -> None:
        integers = floats = 0
        given: list[Any] = []
        for kind in function.argtypes:
            if kind in (_D, _F):
                given.append(_read_float(cpu, floats, kind))
                floats += 1
            else:
                given.append(kind(cpu.reg_read(UC_ARM64_REG_X0 + integers)))
                integers += 1
        result = function(*given)
        if function.restype is _D:
            cpu.reg_write(UC_ARM64_REG_D0, struct.unpack("<Q", struct.pack("<d", result))[0])
        elif function.restype is _F:
            cpu.reg_write(UC_ARM64_REG_S0, struct.unpack("<I", struct.pack("<f", result))[0])
        else:
            cpu.reg_write(UC_ARM64_REG_X0, (result or 0) & (1 << 64) - 1)


def _read_float(cpu: Any, index: int, kind: Any) -> float:
    if kind is _D:
        bits = cpu.reg_read(UC_ARM64_REG_D0 + index)
        return float(struct.unpack("<d", struct.pack("<Q", bits))[0])
    bits = cpu.reg_read(UC_ARM64_REG_S0 + index)
    return float(struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))[0])


def _import(name: str) -> Any:
    """This process's function of that name: libc's by the table, else libm's of one or two."""
    if name in _LIBC_TYPES:
        function = _LIBC[name]
        function.restype, *function.argtypes = _LIBC_TYPES[name]
        return function
    if name.startswith(("TVM", "_")) or not hasattr(_LIBM, name):
        return None
    function = _LIBM[name]
    kind = _F if name.endswith("f") else _D
    two = name.rstrip("f") in ("pow", "atan2", "fmod", "hypot", "fmax", "fmin")
    function.restype, function.argtypes = kind, (kind, kind) if two else (kind,)
    return function


def _packed(argument: Any, held: list[Any]) -> tuple[int, int]:
    """The two words of a TVMFFIAny. `held` keeps what they point to."""
    if isinstance(argument, int):
        return _INTEGER, argument
    array = np.from_dlpack(argument)
    shape = (_N * array.ndim)(*array.shape)
    kind = _CODES[array.dtype.kind]
    bits = 8 * array.dtype.itemsize
    tensor = _DLTensor(array.ctypes.data, (_I * 2)(1, 0), array.ndim, kind, bits, 1, shape, None, 0)
    held.extend((array, shape, tensor))
    return _TENSOR, ctypes.addressof(tensor)


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _end_of_mapping(address: int) -> int | None:
    """Where the readable mapping of this process that holds `address` ends."""
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        bounds, rights = line.split(maxsplit=2)[:2]
        begin, end = (int(bound, 16) for bound in bounds.split("-"))
        if begin <= address < end:
            return end if rights.startswith("r") else None
    return None
