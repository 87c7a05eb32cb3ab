"""One way in to all benchmarks: `python -m benchmarks NAME [flags]`, in the checkout; without a name, a list."""
import ast
import os
import runpy
import sys
from pathlib import Path


def names() -> dict[str, str]:
    """The benchmarks by name, each with the first line of its docstring."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "__main__" in text and path.name != Path(__file__).name:
            found[path.stem] = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
    return found


def main() -> None:
    benchmarks = names()
    if sys.argv[1:2] and sys.argv[1] in benchmarks:
        del sys.argv[0]
        os.environ.setdefault("GLOG_v", "3")   # MindSpore, not imported yet: errors only
        runpy.run_module(f"benchmarks.{sys.argv[0]}", run_name="__main__", alter_sys=True)
        return
    width = max(map(len, benchmarks))
    print("usage: python -m benchmarks NAME [flags]\n", file=sys.stderr)
    print("\n".join(f"{name:{width}}  {line}" for name, line in benchmarks.items()), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
