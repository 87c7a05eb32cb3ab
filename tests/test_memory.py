"""What this machine's memory holds, and what is refused because it would take more."""
import pytest

from mindspore_maml.cli import memory
from mindspore_maml.cli.errors import InputError


@pytest.mark.parametrize(("size", "text"), [
    (0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1500000, "1.5 MB"), (123_456_789_000, "123 GB"),
    (2 * 10**18, "2 EB"), (10**22, "1e+04 EB")])
def test_bytes_are_readable(size, text):
    assert memory.readable(size) == text


def test_what_is_beyond_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 2_000_000)
    memory.refuse_beyond_memory(2_000_000, "it", "make it smaller")
    with pytest.raises(InputError, match=r"^it would take 2 MB of memory; this machine has 2 MB \(make it smaller\)$"):
        memory.refuse_beyond_memory(2_000_001, "it", "make it smaller")


def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path):
    whole = memory.machine_memory()
    for text, expected in (("1000\n", 1000), ("max\n", whole), (f"{10 * whole}", whole)):
        (tmp_path / "limit").write_text(text)
        monkeypatch.setattr(memory, "CONTAINER_LIMITS", (str(tmp_path / "none"), str(tmp_path / "limit")))
        assert memory.machine_memory() == expected
