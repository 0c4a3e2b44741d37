"""What the user's source says of its variables: names that are assigned, receivers, items that are put away."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cached_property

from inplace.facts.called import item_write
from inplace.facts.model import Position, Source
from inplace.facts.source_code import LOOPS, SourceCode, node_position
from inplace.reading.source.loops import items_given
from inplace.reading.source.numbers import names_of_numbers

_MODULES = frozenset({"torch", "F", "nn"})
_LIBRARY_NAMES = frozenset({"torch", "nn", "F", "np", "numpy", "self", "math", "copy", "optim", "cls"})

_PUTTING = frozenset({"append", "extend", "insert", "appendleft", "add", "update", "setdefault", "put", "push"})
_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class Code:
    """What the source of one file or cell says; nothing where it has no text or does not parse."""

    def __init__(self, source: Source) -> None:
        self.source_code = SourceCode(source.text)
        self._own_names: dict[ast.stmt, frozenset[str]] = {}

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The variables, attributes and parameters that the source gives a number somewhere."""
        return names_of_numbers(self.source_code.nodes)

    def text(self, position: Position) -> str:
        """The source text of exactly that range."""
        return self.source_code.text(position)

    def statement(self, position: Position) -> ast.stmt | None:
        """The innermost statement around a range."""
        return self.source_code.statement(position)

    def targets(self, position: Position) -> tuple[str, ...]:
        """The names and expressions that the statement around a range assigns, as source text."""
        statement = self.statement(position)
        found: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            found = list(statement.targets)
        elif isinstance(statement, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor):
            found = [statement.target]
        flat: list[str] = []
        for target in found:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            flat += [ast.unparse(part) for part in parts]
        return tuple(flat)

    def statement_at(self, position: Position) -> Position | None:
        """The range of the innermost statement around a range."""
        found = self.statement(position)
        return None if found is None else node_position(found)

    def indexed(self, position: Position, known: Mapping[str, int] | None = None) -> tuple[int | slice, ...] | None:
        """The index of the one item that the statement around a range assigns, where it is written out in numbers.

        Args:
            position: the range.
            known: what the numbers are that names, attributes and sizes in it stand for.
        """
        parts, _ = self.copied_parts(position)
        try:
            return tuple(_literal(part, known or {}) for part in parts) or None
        except ValueError:  # a name, a mask, an ellipsis
            return None

    def copied_parts(self, position: Position) -> tuple[list[ast.expr], list[ast.expr]]:
        """The indices of the item that the statement around a range assigns, and of the item that it assigns.

        The latter are none where what is assigned is no item of the same variable (`buf[:, n:] = buf[:, :-n]`).
        """
        written = item_write(self.statement(position))
        if written is None:
            return [], []
        value = written.value
        same = isinstance(value, ast.Subscript) and ast.unparse(value.value) == ast.unparse(written.held)
        return written.parts, _indices(value) if isinstance(value, ast.Subscript) and same else []

    def whole(self, position: Position) -> Position:
        """The statement whose only target is that range, so that an item assignment is told with its value."""
        statement = self.statement(position)
        if isinstance(statement, ast.Assign) and [node_position(one) for one in statement.targets] == [position]:
            return node_position(statement)
        return position

    def assigned_from(self, position: Position) -> tuple[str, ...]:
        """The targets of an assignment whose whole right side is that range: what the result is called from then on."""
        statement = self.statement(position)
        if not isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            return ()
        node = self.source_code.node(position)
        if node is statement or node is statement.value:
            return self.targets(position)
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        value = statement.value
        if isinstance(value, ast.Tuple) and isinstance(target, ast.Tuple) and node in value.elts:
            number = value.elts.index(node)  # `left, right = h[:2], h[2:]`: each its own
            return (ast.unparse(target.elts[number]),) if len(target.elts) == len(value.elts) else ()
        return ()

    def name_given(self, position: Position) -> str | None:
        """The one name that `name = ...` gives to the result of that range."""
        names = self.assigned_from(position) if isinstance(self.statement(position), ast.Assign) else ()
        return names[0] if len(names) == 1 else None

    def names_given(self, position: Position) -> tuple[str, ...]:
        """What stands for the result of a range from then on: targets of an assignment, or of a loop over it."""
        statement = self.statement(position)
        if isinstance(statement, ast.For | ast.AsyncFor):
            return tuple(ast.unparse(one) for one in items_given(statement.target, statement.iter, position))
        return self.assigned_from(position)

    def written_name(self, statement: ast.stmt) -> str | None:
        """The variable that a statement writes in place, where it does nothing else: `h` of `h[0] = 1`, `h.add_(1)`."""
        if isinstance(statement, ast.Expr):
            node: ast.expr = statement.value
            while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_"):
                node = node.func.value
            return node.id if isinstance(node, ast.Name) and node is not statement.value else None
        target: ast.expr | None = None
        if isinstance(statement, ast.AugAssign):
            target = statement.target
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if not isinstance(target, ast.Subscript):
                return None
        if isinstance(target, ast.Subscript):
            target = target.value
        return target.id if isinstance(target, ast.Name) else None

    def holds(self, position: Position) -> bool:
        """Whether the statement around a range keeps the very result of it: under a name, or as an item."""
        statement, node = self.statement(position), self.source_code.node(position)
        return statement is not None and any(one is node for one in kept_by(statement))

    def holder(self, position: Position) -> ast.Name | ast.Attribute | None:
        """What the statement around a range puts its result into: `self.kept` of `self.kept[k].append(...)`."""
        statement = self.statement(position)
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            target = statement.value.func
            target = target.value if isinstance(target, ast.Attribute) else None
        while isinstance(target, ast.Subscript):
            target = target.value
        return target if isinstance(target, ast.Name | ast.Attribute) else None

    def collects(self, position: Position) -> bool:
        """Whether the statement around a range puts it, in a loop, into a variable that was there before the loop.

        What goes into an attribute of an object was there before the method that puts it.
        """
        holder = self.holder(position) if self.puts_away(position) else None
        if isinstance(holder, ast.Attribute):
            return not any(self._is_made_anew(at) for at in self.assignments(ast.unparse(holder)))
        function = self.source_code.function_around(position)
        loops = [one for one in self.source_code.statements_around(position) if isinstance(one, LOOPS)]
        inside = [one for one in loops if function is None or node_position(function).holds(node_position(one))]
        if holder is None or not inside:
            return False
        made = [node_position(one) for one in self.source_code.statements if _assigns(one, holder.id)]
        made = [at for at in made if function is None or node_position(function).holds(at)]
        return bool(made) and not any(node_position(inside[0]).holds(at) for at in made)

    def _is_made_anew(self, position: Position) -> bool:
        """Whether an attribute is assigned elsewhere than where its object is made."""
        function = self.source_code.function_around(position)
        return function is None or function.name != "__init__"

    def mentioned_behind(self, position: Position, holder: ast.Name | ast.Attribute) -> Position | None:
        """The first simple statement that reads a container behind the loop in which a range is put into it.

        Of an attribute it may stand anywhere but in the function that puts it there.
        """
        function = self.source_code.function_around(position)
        around = [one for one in self.source_code.statements_around(position) if isinstance(one, LOOPS)]
        end = node_position(around[0]).end if around else position.end
        for statement in sorted(self.source_code.simple_statements, key=lambda one: node_position(one).start):
            at = node_position(statement)
            same = self.source_code.function_around(at) is function
            behind = not same if isinstance(holder, ast.Attribute) else same and at.start >= end
            if behind and any(_loads(node, holder) for node in ast.walk(statement)) and not is_putting(statement):
                return at
        return None

    def own_names(self, function: ast.stmt) -> frozenset[str]:
        """The parameters of a function, and the variables that it gives a value, but for those of others around it."""
        found = self._own_names.get(function)
        if found is None:
            nodes = list(ast.walk(function))
            given = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
            arguments = {one.arg for one in nodes if isinstance(one, ast.arg)}
            found = self._own_names[function] = frozenset(given - self._declared_names(function) | arguments)
        return found

    def _declared_names(self, function: ast.stmt) -> set[str]:
        """The names that a function itself says are another's (`nonlocal`, `global`)."""
        statements = (one for one in ast.walk(function) if isinstance(one, ast.Nonlocal | ast.Global))
        own = [one for one in statements if self.source_code.function_around(node_position(one)) is function]
        return {name for one in own for name in one.names}

    def is_set_before(self, name: str, position: Position) -> bool:
        """Whether a variable gets no value in the function around an assignment but there and above it."""
        function = self.source_code.function_around(position)
        for node in self.source_code.names.get(name, ()):
            at = node_position(node)
            below = isinstance(node.ctx, ast.Store) and at.start > position.end
            if below and self.source_code.function_around(at) is function:
                statement = self.statement(at)
                if not isinstance(statement, ast.AugAssign):  # of a tensor that is a write
                    return False
        return True

    def puts_away(self, position: Position) -> bool:
        """Whether the statement around a range puts its very result away: `kept.append(...)`, `kept[k] = ...`."""
        return is_putting(self.statement(position)) and self.holds(position)

    def assignment_above(self, position: Position, name: str) -> Position | None:
        """The right side of the last assignment to `name` at or above a line."""
        best: Position | None = None
        for statement in self.source_code.statements:
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                continue
            found = node_position(statement.value)
            if (
                statement.lineno <= position.line
                and name in self.targets(found)
                and (best is None or found.line >= best.line)
            ):
                best = found
        return best

    def items_put_into(self, names: frozenset[str]) -> list[Position]:
        """The places where something is appended to, or stored in, one of some containers."""
        found = []
        for node in self.source_code.nodes:
            holder: ast.expr | None = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                holder = node.func.value if node.func.attr in {"append", "extend", "insert", "appendleft"} else None
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                holder = node.targets[0].value
            if holder is not None and isinstance(node, ast.expr | ast.stmt) and ast.unparse(holder) in names:
                found.append(node_position(node))
        return found

    def apply_above(self, position: Position, names: frozenset[str]) -> Position | None:
        """The last `X.apply(...)` at or above a line whose result is assigned to one of some names, or used there."""
        best: Position | None = None
        for statement in self.source_code.simple_statements:
            if statement.lineno > position.line:
                continue
            for node in ast.walk(statement):
                if (
                    not isinstance(node, ast.Call)
                    or not isinstance(node.func, ast.Attribute)
                    or node.func.attr != "apply"
                ):
                    continue
                found = node_position(node)
                named = not names.isdisjoint(self.targets(found)) or statement.lineno == position.line
                if named and (best is None or found.line >= best.line):
                    best = found
        return best

    def receiver(self, position: Position) -> str | None:
        """The text of what is written to at a range: `h` of `y = h.relu_()`, of `h += 1` and of `h[0] = 1`.

        None where an expression is a statement of its own: what it writes to is among its `roots`.
        """
        node, statement = self.source_code.node(position), self.statement(position)
        if isinstance(statement, ast.Expr) and statement.value is node:
            return None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return ast.unparse(node.func.value)
        if isinstance(node, ast.AugAssign):
            node = node.target
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            node = node.targets[0]
        if isinstance(node, ast.Subscript):
            return ast.unparse(node.value)
        return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else None

    def mentioned(self, position: Position) -> list[str]:
        """The user's variables that a range mentions: what it writes to, what it assigns, what it uses."""
        receiver = self.receiver(position)
        is_module = receiver is not None and root_of(receiver) in _MODULES | self.source_code.imported
        written = [receiver] if receiver and not is_module else []
        return [*written, *self.targets(position), *self.roots(position)]

    def called(self, position: Position) -> str | None:
        """The text of what the call at a range calls: `self.fc` of `self.fc(x)`."""
        node = self.source_code.node(position)
        return ast.unparse(node.func) if isinstance(node, ast.Call) else None

    def assignments(self, target: str) -> list[Position]:
        """The statements that assign that variable, or that attribute of whatever object, in the order of the text."""
        name = target.rpartition(".")[2]
        found = []
        for statement in self.source_code.statements:
            for one in statement.targets if isinstance(statement, ast.Assign) else ():
                same = isinstance(one, ast.Attribute) and one.attr == name and "." in target
                if same or ast.unparse(one) == target:
                    found.append(node_position(statement))
        return sorted(found, key=lambda at: at.start)

    def saved_reads(self, position: Position) -> list[str]:
        """The variables of which the statement around a range reads what autograd has saved (`y.grad_fn._saved_x`)."""
        statement = self.statement(position)
        return [
            root_of(ast.unparse(node))
            for node in (ast.walk(statement) if statement is not None else ())
            if isinstance(node, ast.Attribute) and node.attr.startswith(("_saved_", "_raw_saved_", "saved_tensors"))
        ]

    def roots(self, position: Position) -> tuple[str, ...]:
        """The user's variables that the text of a range mentions, in order, without what is imported and `self`."""
        node = self.source_code.node(position) or self.statement(position)
        found: dict[str, None] = {}
        for name in _ordered_names(node) if node is not None else ():
            if name not in _LIBRARY_NAMES and name not in self.source_code.imported:
                found[name] = None
        # What `f(*args)` is about is among the arguments, not the function.
        if isinstance(node, ast.Call) and any(isinstance(one, ast.Starred) for one in node.args):
            return tuple(sorted(found, key=lambda name: isinstance(node.func, ast.Name) and name == node.func.id))
        return tuple(found)


def is_putting(statement: ast.stmt | None) -> bool:
    """Whether a statement puts something into a container: `kept.append(...)`, `kept[k] = ...`."""
    if isinstance(statement, ast.Assign):
        return isinstance(statement.targets[0], ast.Subscript)
    call = statement.value if isinstance(statement, ast.Expr) else None
    method = call.func if isinstance(call, ast.Call) else None
    return isinstance(method, ast.Attribute) and method.attr in _PUTTING


def kept_by(statement: ast.stmt) -> list[ast.expr]:
    """The expressions of a statement whose very results it keeps: `p.grad` of `kept[k] = [p.grad for p in params]`.

    What a call is given is kept where that makes a container or an object of its arguments (`list(...)`, `Step(...)`).
    """
    left: list[ast.expr] = []
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
        left.append(statement.value)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and is_putting(statement):
        left += statement.value.args
        left += [keyword.value for keyword in statement.value.keywords]
    found: list[ast.expr] = []
    while left:
        node = left.pop()
        found.append(node)
        left += _parts_kept(node)
    return found


def leaves_kept_by(statement: ast.stmt) -> list[ast.expr]:
    """The same without the containers and objects that the statement makes: `state` of `steps.append(Step(state))`."""
    return [one for one in kept_by(statement) if not _parts_kept(one) and not isinstance(one, ast.Constant)]


def depth_of(statement: ast.stmt, value: ast.expr) -> int:
    """How many containers and objects a statement makes around what it puts away: 1 for `kept.append([w])`."""
    around = [one for one in kept_by(statement) if one is not value and any(part is value for part in ast.walk(one))]
    return max(len([one for one in around if _parts_kept(one)]) - (not is_putting(statement)), 0)


def parts_written(node: ast.expr) -> list[ast.expr]:
    """The items of a container that is written out or comprehended, as far as they are expressions; none of others."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return list(node.elts)
    if isinstance(node, ast.Dict):
        return list(node.values)
    if isinstance(node, ast.DictComp):
        return [node.value]
    return [node.elt] if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp) else []


def _parts_kept(node: ast.expr) -> list[ast.expr]:
    """What an expression makes a container or an object of."""
    written = parts_written(node)
    if written:
        return written
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.Starred | ast.NamedExpr):
        return [node.value]
    if isinstance(node, ast.Call) and _makes_of_its_arguments(node.func):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return []


def _makes_of_its_arguments(function: ast.expr) -> bool:
    name = ast.unparse(function).rpartition(".")[2]
    return name in {"list", "tuple", "dict", "zip", "deque"} or name[:1].isupper()


def _loads(node: ast.AST, holder: ast.Name | ast.Attribute) -> bool:
    if isinstance(holder, ast.Name):
        return isinstance(node, ast.Name) and node.id == holder.id and isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.Attribute) and node.attr == holder.attr and isinstance(node.ctx, ast.Load)


def _assigns(statement: ast.stmt, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    flat = [part for one in targets for part in (one.elts if isinstance(one, ast.Tuple | ast.List) else [one])]
    return any(isinstance(one, ast.Name) and one.id == name for one in flat)


def root_of(expression: str) -> str:
    """The variable an expression begins with: `model` of `model.fc1.weight[0]`."""
    for end, letter in enumerate(expression):
        if not (letter.isalnum() or letter == "_"):
            return expression[:end]
    return expression


def _ordered_names(node: ast.AST) -> list[str]:
    names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
    names.sort(key=lambda one: (one.lineno, one.col_offset))
    attributes = [
        one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "self"
    ]
    return [one.id for one in names] + attributes


def _indices(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _literal(part: ast.expr, known: Mapping[str, int]) -> int | slice:
    if isinstance(part, ast.Slice):
        ends = [None if end is None else number_of(end, known) for end in (part.lower, part.upper, part.step)]
        if ends[2] is None or ends[2] > 0:
            return slice(*ends)
        raise ValueError(ast.unparse(part))
    return number_of(part, known)


def number_of(node: ast.expr, known: Mapping[str, int]) -> int:
    """The whole number that an expression is, given those that names, attributes and sizes in it stand for.

    Raises:
        ValueError: where it can't be told.
    """
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -number_of(node.operand, known)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](number_of(node.left, known), number_of(node.right, known))
    if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript) and (text := ast.unparse(node)) in known:
        return known[text]
    raise ValueError(ast.unparse(node))
