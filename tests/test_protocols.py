"""Evaluation protocols: what each one sets, and that flags by hand win."""
import pytest

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import EVAL
from mindspore_maml.training import protocols


@pytest.mark.parametrize(("protocol", "n_way", "k_spt", "expected"), [
    ("strict", 5, 1, {"k_qry": 15, "rotate": False}),
    ("strict", 5, 5, {"k_qry": 15, "rotate": False}),
    ("strict", 20, 1, {"k_qry": 15, "rotate": False}),
    ("strict", 20, 5, {"k_qry": 5, "rotate": False}),
    ("paper", 5, 1, {"k_qry": 1, "rotate": True}),
    ("paper", 20, 5, {"k_qry": 5, "rotate": True}),
    ("drawers", 20, 1, {"k_qry": 1, "rotate": False, "within_alphabet": 1.0, "same_drawer": True}),
    ("none", 5, 1, {}),
])
def test_what_a_protocol_sets(protocol, n_way, k_spt, expected):
    assert protocols.settings(protocol, n_way, k_spt) == expected


def test_flags_by_hand_win():
    options = parse(EVAL, "", ["--data_path", "x", "--protocol", "paper", "--no_rotate", "--k_spt", "3"])
    options = protocols.applied(options)
    assert (options.k_qry, options.rotate) == (3, False)
    untouched = protocols.applied(parse(EVAL, "", ["--data_path", "x", "--k_qry", "4"]))
    assert (untouched.k_qry, untouched.rotate) == (4, False)
