"""Changes that tell a module or an optimizer of parameters which it lacks."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.source_code import called_name
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import behind, in_place_of
from inplace.fixes.statement import Statement, function_around
from inplace.reading.trace.place import Place


def registers(look: Look, finding: Finding) -> Candidates:
    """`self.heads = [nn.Linear(...)]` -> `nn.ModuleList([...])`, and a dict with texts as keys a `ModuleDict`.

    Where they hold parameters, a `ParameterList` or a `ParameterDict`.
    """
    for place in finding.culprits:
        code = look.index.places.code(place)
        statement = code.statement(place.position)
        source = code.source_code
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Attribute):
            continue
        around = source.statements_around(place.position)
        owner = next((one for one in reversed(around) if isinstance(one, ast.ClassDef)), None)
        prefix = (
            next((ast.unparse(one).rpartition(".")[0] for one in owner.bases if "Module" in ast.unparse(one)), None)
            if owner
            else None
        )
        value, attribute = statement.value, statement.targets[0].attr
        is_list, is_dict = isinstance(value, ast.List | ast.ListComp), isinstance(value, ast.Dict | ast.DictComp)
        if prefix is None or not (is_list or is_dict):
            continue
        held = _held(value)
        holder = f"{prefix}.{held or 'Module'}{'List' if is_list else 'Dict'}".removeprefix(".")
        site = Statement(place.file, code, statement, None)
        fits = bool(prefix) and (is_list or _has_text_keys(look, finding, value, attribute)) and held is not None
        yield Candidate(site, [in_place_of(value, f"{holder}({source.text_of(value)})")], fits)
        return


def _held(value: ast.expr) -> str | None:
    """Whether the items of a list or dict are each a `Module` or a `Parameter`; None where that is not seen."""
    items = value.elts if isinstance(value, ast.List) else value.values if isinstance(value, ast.Dict) else []
    if isinstance(value, ast.ListComp):
        items = [value.elt]
    elif isinstance(value, ast.DictComp):
        items = [value.value]
    names = [called_name(one) if isinstance(one, ast.Call) else "" for one in items]
    if not names or not all(name[:1].isupper() for name in names):
        return None
    found = {"Parameter" if name == "Parameter" else "Module" for name in names}
    return found.pop() if len(found) == 1 else None


def _has_text_keys(look: Look, finding: Finding, value: ast.expr, attribute: str) -> bool:
    if isinstance(value, ast.Dict):
        return all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in value.keys)
    names = [name for tensor in finding.tensors() for name in look.index.names.of(tensor)]
    keyed = [name.partition(f".{attribute}[")[2] for name in names if f".{attribute}[" in name]
    return bool(keyed) and all(key.startswith(("'", '"')) and "." not in key.partition("]")[0] for key in keyed)


def adds_group(look: Look, finding: Finding) -> Candidates:
    """A module that took the place of one that an optimizer has becomes a parameter group of it."""
    for place, site in look.culprits(finding):
        statement = site.statement
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Attribute | ast.Subscript):
            continue
        text = ast.unparse(target)
        own, _, last = text.rpartition(".")
        names = [name for tensor in finding.tensors()[1:] for name in look.index.names.of(tensor)]
        optimizers = [
            one.name
            for one in look.index.trace.optimizers
            if one.name is not None and {*one.params} & {*finding.tensors()[:1]}
        ]
        paths = [path for path in (name.rpartition(".")[0] for name in names) if f".{path}".endswith(f".{last}")]
        if not paths or len(optimizers) != 1:
            continue
        holder = paths[0].removesuffix(last).removesuffix(".")
        optimizer = optimizers[0]
        if holder != own:
            if not holder or not own or not optimizer.startswith(f"{holder}."):
                continue
            optimizer = own + optimizer.removeprefix(holder)
        indent = site.source_code.indent_of(statement)
        edit = behind(statement, f'\n{indent}{optimizer}.add_param_group({{"params": {text}.parameters()}})')
        yield Candidate(site, [edit], _comes_after(look, place, optimizers[0]))


def _comes_after(look: Look, place: Place, optimizer: str) -> bool:
    """Whether an optimizer is there by the time a line is run: it is made above it, or by another function."""
    source = look.index.places.code(place).source_code
    name = optimizer.rpartition(".")[2]
    made = [
        one
        for one in source.statements
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]).rpartition(".")[2] == name
    ]
    own = function_around(source, source.statement(place.position) or source.tree.body[0])
    return bool(made) and all(
        function_around(source, one) is not own or one.lineno < place.position.line for one in made
    )
