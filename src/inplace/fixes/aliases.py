"""Changes where an alias was made that should have been a copy, and where a function writes to what is not its own."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.source_code import FUNCTIONS, SourceCode, called_name, node_position
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.copies import stands_for_several
from inplace.fixes.editing import in_front_of, in_place_of
from inplace.fixes.rules import cloned, has_twin, no_flag, operand, out_of_place
from inplace.fixes.statement import Statement
from inplace.reading.sharing.twins import put_together_of
from inplace.reading.source.code import is_putting, leaves_kept_by
from inplace.reading.trace.place import Place

_APART = frozenset({"detach", "data"})  # what is no step of the graph any more
_DETERMINISTIC = frozenset(
    [*("zeros", "ones", "full", "empty", "tensor", "arange", "eye", "linspace"), "zeros_like", "ones_like", "full_like"]
)


# ---------------------------------------------------------------- copies


def copies_alias(look: Look, finding: Finding) -> Candidates:
    """`target = q.detach()` -> `q.detach().clone()`, `old = t.numpy()` -> `t.numpy().copy()`, `old = w` -> a copy."""
    keep = finding.kept_at()
    site = look.site(keep)
    if keep is None or site is None:
        return
    handed = _handed(look, finding, site, keep)
    if handed is not None:
        yield Candidate(site, [cloned(site.source_code, handed)], fits=True)
        return
    node = _kept_node(site)
    if node is None or stands_for_several(site.source_code, node):
        return
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call) and not _is_module(look, node):
        fits = _is_whole(site, node) and not (_is_data(node) and _is_written_through(look, finding, keep))
        items = _iterating(site, node)
        if items is not None:
            yield Candidate(site, [cloned(site.source_code, items.value)], fits)
        else:
            yield Candidate(site, [in_place_of(*_copied(look, site, node, finding))], fits)


def _handed(look: Look, finding: Finding, site: Statement, keep: Place) -> ast.expr | None:
    """The argument that a statement hands to a function which writes to it: a copy of the result comes too late."""
    sites = [
        look.index.places.site(frame) for write in look.writes_of(finding) for frame in write.call.stack.frames[1:]
    ]
    span = node_position(site.statement)
    inside = [one.position for one in sites if look.index.trace.sources[one.source].file == keep.file]
    for node in ast.walk(site.statement):
        if isinstance(node, ast.Call) and node_position(node) in inside and span.holds(node_position(node)):
            return next((one for one in node.args if ast.unparse(one) == finding.names[0]), None)
    return None


def _kept_node(site: Statement) -> ast.AST | None:
    """The expression that gave what a statement kept: the one thing that it puts away, where it is that as a whole."""
    whole = [site.statement, getattr(site.statement, "value", None)] if is_putting(site.statement) else [site.statement]
    if all(site.node is not one for one in whole):
        return site.node
    found = [one for one in leaves_kept_by(site.statement) if not (isinstance(one, ast.Call) and _is_number(one))]
    node = found[0] if len(found) == 1 else None
    if isinstance(node, ast.Call) and called_name(node) in {"defaultdict", "repeat"}:
        given = node.args[0] if node.args else None
        return given.body if isinstance(given, ast.Lambda) else None
    return node


def _is_number(call: ast.Call) -> bool:
    """Whether a call gives a number, which nobody writes to."""
    return called_name(call) in {"float", "int", "bool", "str", "len", "item"}


def _iterating(site: Statement, node: ast.expr) -> ast.DictComp | None:
    """The dictionary that is made of what an expression gives out: `{k: v for k, v in net.state_dict().items()}`."""
    for one in ast.walk(site.statement):
        if isinstance(one, ast.DictComp) and isinstance(one.value, ast.Name) and len(one.generators) == 1:
            over = one.generators[0].iter
            items = over.func.value if isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute) else over
            if items is node:
                return one
    return None


def _is_data(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "data"


def _is_written_through(look: Look, finding: Finding, keep: Place) -> bool:
    """Whether the kept alias itself is written to: `h = w.data` and `h.add_(1)` may be meant to change w."""
    call = look.call_of(keep)
    kept = {look.index.trace.states[one].tensor for one in call.outputs} if call is not None else set()
    return any({write.before.tensor, write.before.base} & kept for write in look.writes_of(finding))


def _is_whole(site: Statement, node: ast.expr) -> bool:
    """Whether what an alias is made of may be a copy as well: nothing is written through it in the same statement."""
    parents = {child: one for one in ast.walk(site.statement) for child in ast.iter_child_nodes(one)}
    parent = parents.get(node)
    written = isinstance(parent, ast.Attribute) and parent.attr.endswith("_")
    return not written and isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _copied(look: Look, site: Statement, node: ast.expr, finding: Finding) -> tuple[ast.expr, str]:
    """The expression that becomes a copy of what another gives out, and the text of that copy."""
    source = site.source_code
    text = operand(source, node)
    name = called_name(node) if isinstance(node, ast.Call) else getattr(node, "attr", "")
    outer = next((one for one in ast.walk(site.statement) if isinstance(one, ast.Call) and one.args == [node]), node)
    if name == "state_dict":
        return outer if _is_made_of(outer) else node, f"{{key: value.clone() for key, value in {text}.items()}}"
    if name in {"parameters", "buffers"} and _is_made_of(outer):
        return outer, f"[one.detach().clone() for one in {text}]"
    if name in {"named_parameters", "named_buffers"} and _is_made_of(outer):
        return outer, f"{{name: one.detach().clone() for name, one in {text}}}"
    if name == "fromkeys" and isinstance(node, ast.Call) and len(node.args) == 2:  # noqa: PLR2004  # keys and the value
        keys, item = node.args
        made = source.text_of(item) if isinstance(item, ast.Call) else f"{operand(source, item)}.clone()"
        return node, f"{{key: {made} for key in {source.text_of(keys)}}}"
    if name == "numpy" or _is_array(site, node):
        return node, f"{text}.copy()"
    apart = any(isinstance(one, ast.Attribute) and one.attr in _APART for one in ast.walk(node))
    return node, f"{text}.detach().clone()" if not apart and _is_leaf(look, finding) else f"{text}.clone()"


def _is_made_of(node: ast.expr) -> bool:
    """Whether an expression makes a container of its argument."""
    return isinstance(node, ast.Call) and called_name(node) in {"list", "dict", "tuple", "OrderedDict", "copy"}


def _is_array(site: Statement, node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and site.is_array(node.id)


def _is_leaf(look: Look, finding: Finding) -> bool:
    """Whether what is shared is a leaf that requires grad: a copy of it is none."""
    return any(storage in look.index.history.leaf_storages for storage in finding.storages())


def _is_module(look: Look, node: ast.expr) -> bool:
    """Whether a name stands for a module, which has no `clone`."""
    text = ast.unparse(node)
    paths = (name for names in look.index.names.seen.values() for name in names)
    return any(path.startswith(f"{text}.") for path in paths)


# ---------------------------------------------------------------- arguments, defaults, items


def spares_argument(look: Look, finding: Finding) -> Candidates:
    """`x = F.dropout(x, inplace=True)` of an argument -> out of place, where the function goes on with the result."""
    for _, site in look.culprits(finding):
        statement, node = site.statement, site.node
        inner = [one for one in ast.walk(statement) if isinstance(one, ast.Lambda) and one.body is node]
        if inner and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and has_twin(node.func.attr):
            text = site.source_code.text_of(node.func)[:-1]
            yield Candidate(site, [in_place_of(node.func, text)], fits=True)
            return
        passed = isinstance(statement, ast.Return) and isinstance(node, ast.Call)
        assigned = isinstance(statement, ast.Assign) and all(isinstance(one, ast.Name) for one in statement.targets)
        alone = isinstance(statement, ast.Expr) and statement.value is node
        changed = isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name)
        for edits in out_of_place(site):
            yield Candidate(site, edits, fits=passed or assigned or alone or changed)
        for edits in no_flag(site) if isinstance(node, ast.Call) else ():
            yield Candidate(site, edits, fits=passed or assigned)
        return


def made_each_time(look: Look, finding: Finding) -> Candidates:
    """`def f(x, acc=torch.zeros(2))` -> `acc=None`, and `if acc is None: acc = torch.zeros(2)` where it begins."""
    keep = finding.kept_at()
    if keep is None:
        return
    code = look.index.places.code(keep)
    source = code.source_code
    for function in source.statements:
        if not isinstance(function, FUNCTIONS):
            continue
        given = [*function.args.posonlyargs, *function.args.args]
        pairs = list(zip(reversed(given), reversed(function.args.defaults), strict=False))
        pairs += [
            (a, d) for a, d in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if d is not None
        ]
        for argument, default in pairs:
            if node_position(default).holds(keep.position):
                first = _first_line(function)
                if not source.is_alone(node_position(first)):
                    return
                indent = source.indent_of(first)
                text = f"if {argument.arg} is None:\n{indent}    {argument.arg} = {source.text_of(default)}\n{indent}"
                edits = [in_place_of(default, "None"), in_front_of(first, text)]
                yield Candidate(Statement(keep.file, code, function, None), edits, _is_untold(argument))


def _first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """The first statement of a function behind what it says of itself."""
    first, *rest = function.body
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return rest[0] if is_text and rest else first


def _is_untold(argument: ast.arg) -> bool:
    """Whether nothing is said of an argument that `None` would belie."""
    return argument.annotation is None


def copies_item(look: Look, finding: Finding) -> Candidates:
    """`image = torch.from_numpy(self.images[i])` -> the same with `.clone()`, in a data set that hands out items."""
    keep = finding.kept_at()
    site = look.site(keep)
    if keep is None or site is None:
        return
    node = site.node
    source = site.source_code
    taken: ast.expr | None = node if isinstance(node, ast.Call) and _takes_item(node) else None
    if taken is None:
        function = source.function_around(keep.position)
        before = [one for one in ast.walk(function) if isinstance(one, ast.stmt)] if function is not None else []
        mentioned = {one.id for one in ast.walk(site.statement) if isinstance(one, ast.Name)}
        made = [
            one
            for one in before
            if isinstance(one, ast.Assign)
            and isinstance(one.targets[0], ast.Name)
            and one.targets[0].id in mentioned
            and one.lineno <= keep.position.line
            and _takes_item(one.value)
        ]
        if not made:
            yield from _within(site)
            return
        first = min(made, key=lambda one: one.lineno)
        assert isinstance(first, ast.Assign)
        taken = first.value
        site = look.site(look.index.places.beside(keep, node_position(taken)))
    if site is not None and taken is not None:
        yield Candidate(site, [in_place_of(taken, f"{operand(source, taken)}.clone()")], fits=True)


def _takes_item(node: ast.AST) -> bool:
    """Whether an expression takes an item of something that an object keeps, or makes a tensor over it."""
    if isinstance(node, ast.Call) and called_name(node) in {"from_numpy", "as_tensor"} and node.args:
        return True
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute)


def _within(site: Statement) -> Candidates:
    """The one item that a statement itself takes out and works on."""
    parts = [one for one in ast.walk(site.statement) if isinstance(one, ast.Subscript) and _takes_item(one)]
    given = [a for one in ast.walk(site.statement) if isinstance(one, ast.Call) for a in (*one.args, _held(one))]
    worked = [one for one in parts if one in given]
    if len(worked) == 1:
        yield Candidate(site, [in_place_of(worked[0], f"{site.source_code.text_of(worked[0])}.clone()")], fits=True)


def _held(call: ast.Call) -> ast.expr | None:
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def copies_array(look: Look, finding: Finding) -> Candidates:
    """`net(torch.from_numpy(obs))` -> `net(torch.from_numpy(obs).clone())`, of an array that is written later."""
    place = finding.victim.place if finding.victim is not None else None
    site = look.site(place)
    if place is None or site is None or look.writes_of(finding):
        return
    found = [one for one in ast.walk(site.statement) if isinstance(one, ast.Call) and _wraps(one)]
    for name in site.source_code.names if not found else ():
        above = look.index.places.code(place).assignment_above(place.position, name)
        made = site.source_code.node(above) if above is not None else None
        used = any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(site.statement))
        if used and isinstance(made, ast.Call) and _wraps(made):
            found.append(made)
    there = look.site(look.index.places.beside(place, node_position(found[0]))) if len(found) == 1 else None
    if there is not None:
        yield Candidate(there, [in_place_of(found[0], f"{there.source_code.text_of(found[0])}.clone()")], fits=True)


def _wraps(call: ast.Call) -> bool:
    """Whether a call makes a tensor over the memory of an array."""
    return called_name(call) in {"from_numpy", "as_tensor", "asarray", "frombuffer", "from_dlpack"}


# ---------------------------------------------------------------- two names


def made_apart(look: Look, finding: Finding) -> Candidates:
    """`target = net` -> `target = copy.deepcopy(net)`, where two modules are meant; so for `copy.copy(net)`."""
    keep = finding.kept_at()
    site = look.site(keep)
    statement = site.statement if site is not None else None
    if site is None or not isinstance(statement, ast.Assign):
        return
    source, value = site.source_code, statement.value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "copy.copy":
        yield Candidate(site, [in_place_of(value.func, "copy.deepcopy")], fits=True)
    if not isinstance(value, ast.Name | ast.Attribute) and put_together_of(value) is None:
        return
    known = any(isinstance(one, ast.Import) and any(a.name == "copy" for a in one.names) for one in source.statements)
    edits = [in_place_of(statement.value, f"copy.deepcopy({source.text_of(statement.value)})")]
    edits += [] if known else [in_front_of(statement, f"import copy\n{source.indent_of(statement)}")]
    yield Candidate(site, edits, fits="copy" not in _assigned_names(source))


def _assigned_names(source: SourceCode) -> set[str]:
    return {n.id for n in source.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
