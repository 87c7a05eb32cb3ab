"""Drop the second operand of each sum and product of the closed forms, and see that the derived twin notices it."""
import ast
import sys
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
from closed_forms import LAYOUTS, cases, disagreements, with_class

LAYERS = Path(__file__).resolve().parents[1] / "src" / "layers"
TOLERANCE = 1e-5
CLOSED = {"fused_first": "FirstConvNorm", "batch_norm": "BatchNorm", "affine": "Affine", "max_pool2d": "MaxPool2D"}
METHODS = ("backward", "forward_tangent", "backward_tangent")


class Mutation(NamedTuple):
    """The sum or product `number` of a class's derivatives, `term`, of which `left` is to stay."""

    file: str
    layer: str
    number: int
    term: str
    left: str


def mutations():
    """All of them."""
    return [Mutation(file, layer, number, ast.unparse(term), ast.unparse(_left_of(term)))
            for file, layer in CLOSED.items() for number, term in enumerate(_terms(_methods(_tree(file), layer)))]


def _tree(file):
    return ast.parse((LAYERS / f"{file}.py").read_text(encoding="utf-8"))


def _methods(tree, layer):
    """The class's methods that are derivatives."""
    (own,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == layer]
    return [node for node in own.body if isinstance(node, ast.FunctionDef) and node.name in METHODS]


def _terms(methods):
    """Their sums and products of two operands, in the order of the text."""
    return [node for method in methods for node in ast.walk(method) if _left_of(node)]


def _left_of(node):
    """The first operand of a sum, difference or product; None of anything else."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
        return node.left
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("add", "sub", "mul"):
        return node.args[0]
    return None


class _Drop(ast.NodeTransformer):
    """Puts the first operand in the place of one term."""

    def __init__(self, term):
        self.term = term

    def generic_visit(self, node):
        return _left_of(node) if node is self.term else super().generic_visit(node)


def mutated(mutation):
    """The class with one operand gone."""
    tree = _tree(mutation.file)
    _Drop(_terms(_methods(tree, mutation.layer))[mutation.number]).visit(tree)
    namespace = {"__name__": f"mutated_{mutation.file}"}
    exec(compile(ast.fix_missing_locations(tree), mutation.file, "exec"), namespace)
    return namespace[mutation.layer]


def survivors(left):
    """The mutations that no tensor of any layer shows by more than `TOLERANCE`; in PyNative mode."""
    for layout in LAYOUTS:
        for case in cases(layout) if left else ():
            bases = {base.__name__ for base in type(case.layer).__mro__}
            own = [mutation for mutation in left if mutation.layer in bases]
            expected = case.results(case.derived()) if own else {}
            left = [mutation for mutation in left if mutation not in own or not _shows(case, mutation, expected)]
    return left


def _shows(case, mutation, expected):
    """Whether a layer with the mutation differs from what is expected of it, or cannot run."""
    base, name = mutated(mutation), type(case.layer).__name__
    changed = base if name == mutation.layer else type(name, (type(case.layer),), {
        key: value for key, value in vars(base).items() if callable(value) and key != "__init__"})
    try:
        errors = disagreements(case.results(with_class(case.layer, changed)), expected)
    except (ValueError, RuntimeError):   # of shapes that no longer fit
        return True
    return max(errors.values()) > TOLERANCE


def main():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    every = mutations()
    missed = survivors(every)
    for mutation in every:
        print(f"{'missed' if mutation in missed else 'caught'}: {mutation.layer}: {mutation.term} -> {mutation.left}")
    print(f"{len(every) - len(missed)} of {len(every)} caught")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
