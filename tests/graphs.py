"""What a compiled graph holds."""
import re

NOT_KERNELS = {"TupleGetItem", "MakeTuple", "Return", "Depend", "Load", "UpdateState"}


def operations(cell):
    """The kernels of a compiled graph, by name; none where it was never compiled."""
    names = re.findall(r'([A-Z]\w+)".Default', (cell.get_func_graph_proto() or b"").decode(errors="replace"))
    return [name for name in names if name not in NOT_KERNELS]
