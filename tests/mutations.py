"""Drop terms of the closed forms one by one, and see that the comparison with the derived twin notices each."""
import sys
from pathlib import Path

import mindspore as ms
from closed_forms import LAYOUTS, cases, disagreements, with_class

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-5

# file in src/layers, class, a term, and what is left in its place
MUTATIONS = (
    ("fused_first", "FirstConvNorm", "total(d_normal_dot * normal + d_normal * normal_dot)",
     "total(d_normal_dot * normal)"),
    ("fused_first", "FirstConvNorm", "total(g_dot * normal + g * normal_dot)", "total(g_dot * normal)"),
    ("fused_first", "FirstConvNorm", " - dw * shrink", ""),
    ("fused_first", "FirstConvNorm", "g_dot + d_normal * w_dot[-2]", "g_dot"),
    ("batch_norm", "BatchNorm", "rows.sum(add(mul(dy_dot, normal), mul(dy, normal_dot)))",
     "rows.sum(mul(dy_dot, normal))"),
    ("batch_norm", "BatchNorm", "sub(mul(inner, scales), mul(dx, rows.spread(scale * slope)))", "mul(inner, scales)"),
    ("batch_norm", "BatchNorm", "slope_total_dot + w_dot[0] * rows.sum(mul(dy, normal))", "slope_total_dot"),
    ("batch_norm", "BatchNorm", "sub(inner, mul(normal_dot, rows.spread_evenly(slope_total)))", "inner"),
    ("affine", "Affine", "add(dw_dot, matmul_tn(patches_dot, dy))", "dw_dot"),
    ("affine", "Affine", "add(y_dot, self.constants.spread(w_dot[1]))", "y_dot"),
    ("max_pool2d", "MaxPool2D", "add(y_dot, mul(take(x_dot), chosen))", "add(y_dot, take(x_dot))"),
    ("layer", "PiecewiseLinear", "return self._pull_back(w, forward_state[0], x_dot)[0], ()", "return x_dot, ()"),
)


def mutated(file, name, term, left):
    """The class with one term gone."""
    path = ROOT / "src" / "layers" / f"{file}.py"
    source = path.read_text(encoding="utf-8")
    if source.count(term) != 1:
        raise ValueError(f"{path.name} has {term!r} {source.count(term)} times; expected once")
    namespace = {"__name__": f"mutated_{file}"}
    exec(compile(source.replace(term, left), str(path), "exec"), namespace)
    return namespace[name]


def survivors(mutations=MUTATIONS):
    """The mutations that no tensor of any layer shows by more than `TOLERANCE`; in PyNative mode."""
    left = list(mutations)
    for layout in LAYOUTS:
        for case in cases(layout) if left else ():
            own = [mutation for mutation in left if mutation[1] in {base.__name__ for base in type(case.layer).__mro__}]
            expected = case.results(case.derived()) if own else {}
            left = [mutation for mutation in left if mutation not in own or not _shows(case, mutation, expected)]
    return left


def _shows(case, mutation, expected):
    """Whether a layer with the mutation differs from what is expected of it."""
    base, name = mutated(*mutation), type(case.layer).__name__
    changed = base if name == mutation[1] else type(name, (type(case.layer),), {
        key: value for key, value in vars(base).items() if callable(value) and key != "__init__"})
    errors = disagreements(case.results(with_class(case.layer, changed)), expected)
    return max(errors.values()) > TOLERANCE


def main():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    missed = survivors()
    for mutation in MUTATIONS:
        print(f"{'missed' if mutation in missed else 'caught'}: {mutation[1]}: {mutation[2]} -> {mutation[3] or '-'}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
