"""The normal form of a source file: equal for two texts whose differences cannot change what the program does.

Of Python comments, formatting, docstrings, the descriptions of pydantic fields, annotations that nothing evaluates and
imports of types go; everything else stays, error messages and log lines included, since an exception's text
may end in a table. Of C comments and spaces go. The form is our own and names each field, so that Python 3.11 and later
versions, which add fields to the nodes of `ast`, agree.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

# Who uses one of these names may read docstrings, descriptions or annotations, of any module: see Form.reads_source.
READERS = frozenset(
    {
        *(
            "__doc__",
            "getdoc",
            "getcomments",
            "getsource",
            "getsourcelines",
            "use_attribute_docstrings",
        ),
        *("description", "model_json_schema", "json_schema", "TypeAdapter"),
        *(
            "__annotations__",
            "get_annotations",
            "get_type_hints",
            "signature",
            "getfullargspec",
            "validate_call",
        ),
        *("__code__", "co_firstlineno", "f_lineno", "extract_stack", "currentframe"),
    }
)
NO_EFFECT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
Value = ast.AST | list["Value"] | str | bytes | complex | None
TYPES = frozenset(
    {"typing", "collections.abc"}
)  # where a name is used at run time, the place of its use stays
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
C_PARTS = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)|\\\n|[^\S\n]+""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Form:
    """A Python module reduced to the parts that have an effect.

    imports: (module, name or "") of every import, with relative ones made absolute. reads_source: whether the module
    may read, at run time, what the form leaves out. is_empty: whether it holds no more than a docstring.
    """

    text: str
    is_empty: bool
    imports: tuple[tuple[str, str], ...]
    reads_source: bool


def python_form(source: bytes, package: str = "") -> Form:
    """The form of a module. package: the one it lies in, for relative imports. Raises SyntaxError."""
    tree = ast.parse(source)
    reader = _Reader(package, lazy_annotations=_has_lazy_annotations(tree))
    reader.read(tree)
    return Form(
        text=" ".join(reader.words),
        is_empty=all(_is_idle(statement) for statement in tree.body),
        imports=tuple(dict.fromkeys(reader.imports)),
        reads_source=reader.reads_source,
    )


def c_form(source: str) -> str:
    """A C source with one space for each comment and each run of spaces, and without empty lines."""
    text = C_PARTS.sub(lambda part: part["text"] or " ", source)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


class _Reader:
    """Walks one module and collects the words of its form."""

    def __init__(self, package: str, *, lazy_annotations: bool) -> None:
        self.package, self.lazy_annotations = package, lazy_annotations
        self.words: list[str] = []
        self.imports: list[tuple[str, str]] = []
        self.reads_source = False
        self.in_function = False
        self.fields: dict[str, list[str]] = {}

    def read(self, value: Value) -> None:
        """Add a node, a list of nodes or a constant; each field by its name, empty ones not at all."""
        if isinstance(value, ast.AST):
            self._read_node(value)
        elif isinstance(value, list):
            self.words.append("[")
            for one in value:
                if not _is_idle(one):
                    self.read(one)
            self.words.append("]")
        else:
            self.words.append(
                f"{type(value).__name__}:{value!a}"
            )  # ascii: what repr escapes differs by version

    def _read_node(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._note_import(node)
        elif isinstance(node, ast.Name | ast.Attribute | ast.keyword):
            self._note_name(node)
        elif isinstance(node, ast.If) and _is_type_checking(node):
            node = ast.If(ast.Constant(False), [], node.orelse)
        dropped = self._dropped_fields(node)
        within, self.in_function = self.in_function, self._is_in_function(node)
        self.words.append(f"({type(node).__name__}")
        for name in self._fields(node):
            value = getattr(node, name, None)
            if value is None and not isinstance(node, ast.Constant):
                continue
            if name in dropped or value == []:
                continue
            if name == "keywords" and isinstance(node, ast.Call) and _is_named(node.func, "Field"):
                value = [keyword for keyword in node.keywords if keyword.arg != "description"]
            self.words.append(name)
            self.read(value)
        self.words.append(")")
        self.in_function = within

    def _dropped_fields(self, node: ast.AST) -> frozenset[str]:
        """The annotations that nothing evaluates. Decorators may read them; pydantic reads those of class bodies."""
        if not self.lazy_annotations:
            return frozenset()
        if isinstance(node, FUNCTIONS) and not node.decorator_list:
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
            return frozenset({"returns"})
        if isinstance(node, ast.AnnAssign) and self.in_function:
            return frozenset({"annotation"})
        return frozenset()

    def _is_in_function(self, node: ast.AST) -> bool:
        if isinstance(node, ast.ClassDef):
            return False
        return self.in_function or isinstance(node, FUNCTIONS)

    def _fields(self, node: ast.AST) -> list[str]:
        """The fields of a kind of node that have an effect, in one order for all versions of Python."""
        kind = type(node).__name__
        if kind not in self.fields:
            self.fields[kind] = sorted(set(node._fields) - NO_EFFECT)
        return self.fields[kind]

    def _note_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            self.imports += [(alias.name, "") for alias in node.names]
        else:
            self.imports += [(_absolute(node, self.package), alias.name) for alias in node.names]
        self.reads_source |= any(alias.name in READERS for alias in node.names)

    def _note_name(self, node: ast.Name | ast.Attribute | ast.keyword) -> None:
        """See who reads the source: `x.description` may, a variable of that name does not; an import is noted too."""
        if isinstance(node, ast.Attribute):
            self.reads_source |= node.attr in READERS
        elif isinstance(node, ast.Name):
            self.reads_source |= node.id in READERS and node.id.startswith("__")
        else:
            self.reads_source |= node.arg == "use_attribute_docstrings"


def _is_idle(value: Value) -> bool:
    """A statement without effect: a docstring, a string below a field, which documents it, or an import of types."""
    if isinstance(value, ast.Expr):
        return isinstance(value.value, ast.Constant) and isinstance(value.value.value, str)
    if isinstance(value, ast.ImportFrom):
        return value.module in TYPES and not any(alias.name in READERS for alias in value.names)
    return isinstance(value, ast.If) and _is_type_checking(value) and not value.orelse


def _is_type_checking(node: ast.If) -> bool:
    return _is_named(node.test, "TYPE_CHECKING")


def _is_named(node: ast.expr, name: str) -> bool:
    return (isinstance(node, ast.Name) and node.id == name) or (
        isinstance(node, ast.Attribute) and node.attr == name
    )


def _has_lazy_annotations(tree: ast.Module) -> bool:
    futures = (
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    )
    return any(alias.name == "annotations" for node in futures for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that `from ... import` names; each dot after the first is one package up."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])
