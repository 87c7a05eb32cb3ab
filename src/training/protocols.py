"""Evaluation protocols: what a few-shot accuracy depends on besides the network, by name.

Batch normalisation sees all query images of a task together, so their number matters; and characters turned by
different angles are easier to tell apart. So the same network does better in the papers' protocol (docs/accuracy.md).
"""
from typing import Any

from mindspore_maml.cli.run_options import Options

STRICT, PAPER, DRAWERS = "strict", "paper", "drawers"
QUERY_IMAGES = 15          # of each class
QUERY_IMAGES_IF_LARGE = 5
LARGE = 100                # support images of a task: 20-way 5-shot


def settings(protocol: str, n_way: int, k_spt: int) -> dict[str, Any]:
    """The options a protocol sets.

    Parameters
    ----------
    protocol : str
        `STRICT`: characters as they were drawn, 15 query images of each class (5 at 20-way 5-shot); `PAPER`, as the
        published figures of Finn et al. (2017, section 5.2): as many query images as support images, and every class
        turned by a random multiple of 90 degrees. `DRAWERS`: as Lake's runs (Lake et al., 2015), classes of one
        alphabet, one query image of each, all by the same person, and the support images by another one. Any other:
        nothing is set.
    n_way, k_spt : int
        Classes of a task, and support images of each.

    Returns
    -------
    dict
        `k_qry` and `rotate`, and of `DRAWERS` two more, or nothing.
    """
    if protocol == DRAWERS:
        return {"k_qry": 1, "rotate": False, "within_alphabet": 1.0, "same_drawer": True}
    if protocol == STRICT:
        return {"k_qry": QUERY_IMAGES_IF_LARGE if n_way * k_spt >= LARGE else QUERY_IMAGES, "rotate": False}
    return {"k_qry": k_spt, "rotate": True} if protocol == PAPER else {}


def applied(options: Options) -> Options:
    """The options with what `options.protocol` says, where no flag says otherwise."""
    chosen = settings(options.protocol, options.n_way, options.k_spt)
    return options.but(**{name: value for name, value in chosen.items() if name not in options.given})
