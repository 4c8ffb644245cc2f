"""Finds words of a struct that are counted by hand, in the source of a module.

A struct's memory comes from a few calls (`allocate`, `values_at`, `decl_buffer` of int64), and from
`words`, `array` and `buffer` of what these give. What is assigned from one of them is followed
through names and attributes of the module. Such memory is indexed by fields alone: a field, what
`at`, `of` or `slice` makes of one, or a name that holds one; never by a number that is written
there. Nor is the offset of a field in bytes 8 times its number: that is `byte`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["counted_words", "numbered_layouts", "stores_by_field"]

_SOURCES = {"allocate", "values_at", "decl_buffer"}
_PARTS = {"words", "array", "buffer", "_words"}
_LAYOUT_CALLS = {"word", "words", "pointer", "pointers", "structs"}


def counted_words(source: str) -> list[str]:
    """Each place where a struct's word is counted by hand, as its line and text."""
    tree = ast.parse(source)
    memory = _memory_names(tree)
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if _is_counted(node, memory)
    ]


def numbered_layouts(source: str) -> list[str]:
    """Each class that numbers words: a layout with a field that is no declaration, or a class that
    is no layout and has WORDS."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef) or node.name == "Layout":
            continue
        values = dict(_assigned(node))
        is_layout = bool(node.bases) and "WORDS" not in values
        declared = [name for name, value in values.items() if _is_declaration(value)]
        if declared and len(declared) < len(values):
            found += [f"{node.name}.{name}" for name in values if name not in declared]
        if not is_layout and "WORDS" in values:
            found.append(f"{node.name}.WORDS")
    return found


def stores_by_field(source: str) -> list[tuple[str, str]]:
    """(layout, field) of each store to a field, `memory[Layout.FIELD] = value`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Store):
            continue
        field = node.slice
        if isinstance(field, ast.Attribute) and isinstance(field.value, ast.Name):
            found.append((field.value.id, field.attr))
    return found


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for statement in node.body:
        if not isinstance(statement, ast.Assign):
            continue
        (target,), value = statement.targets, statement.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            names = [name.id for name in target.elts if isinstance(name, ast.Name)]
            yield from zip(names, value.elts, strict=True)
        elif isinstance(target, ast.Name):
            yield target.id, value


def _is_declaration(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _name(value.func) in _LAYOUT_CALLS


def _name(node: ast.expr) -> str:
    """The last name of `a.b.name` or `name`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _memory_names(tree: ast.AST) -> set[str]:
    """Names, with attributes, that are assigned the memory of a struct."""
    names: set[str] = set()
    while True:
        before = len(names)
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets = [node.target]
            for target in targets:
                names.update(_pairs(target, node.value, names))  # type: ignore[attr-defined]
        if len(names) == before:
            return names


def _pairs(target: ast.expr, value: ast.expr, names: set[str]) -> Iterator[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, of in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, of, names)
    elif isinstance(target, ast.Name | ast.Attribute) and _is_memory(value, names):
        yield ast.unparse(target)


def _is_memory(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.Call):
        is_word = _name(node.func) == "allocate" or "'int64'" in ast.unparse(node)
        return _name(node.func) in _SOURCES and is_word
    if isinstance(node, ast.Attribute) and node.attr in _PARTS:
        return True
    return ast.unparse(node) in names if isinstance(node, ast.Name | ast.Attribute) else False


def _is_counted(node: ast.AST, memory: set[str]) -> bool:
    if isinstance(node, ast.Subscript) and _is_memory(node.value, memory):
        return _is_number(node.slice)
    if isinstance(node, ast.Call) and _name(node.func) == "buffer_store":
        place = node.args[2] if len(node.args) > 2 else None
        is_number = isinstance(place, ast.List) and any(map(_is_number, place.elts))
        return _is_memory(node.args[0], memory) and is_number
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = node.left, node.right
        is_field = isinstance(right, ast.Attribute) and right.attr.isupper()
        return ast.unparse(left) == "8" and is_field and right.attr != "WORDS"  # type: ignore[attr-defined]
    return False


def _is_number(node: ast.expr) -> bool:
    """Whether an index is a number that is written there, alone or beside a field."""
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.BinOp):
        sides = (node.left, node.right)
        is_field = any(isinstance(s, ast.Attribute) and s.attr.isupper() for s in sides)
        return is_field or all(map(_is_number, sides))
    if isinstance(node, ast.Slice):
        return any(part is not None and _is_number(part) for part in (node.lower, node.upper))
    return False
