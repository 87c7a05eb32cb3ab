"""Omniglot fetched from a mirror, which is a server on this machine."""
import contextlib
import functools
import hashlib
import http.server
import os
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_omniglot import DRAWINGS, make_folders, preprocess, zip_of

from mindspore_maml.cli.errors import InputError
from mindspore_maml.data import archives
from mindspore_maml.Omniglot import TOP_FOLDERS


@pytest.fixture
def mirror(tmp_path):
    """A folder served on this machine, and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *arguments: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_fetches_and_checks(tmp_path, mirror, monkeypatch):
    folder, address = mirror
    make_folders(tmp_path / "made")
    sums = {}
    for top in TOP_FOLDERS:
        with zipfile.ZipFile(folder / f"{top}.zip", "w") as archive:
            for file in (tmp_path / "made" / top).rglob("*.png"):
                archive.write(file, file.relative_to(tmp_path / "made"))
        sums[f"{top}.zip"] = hashlib.md5((folder / f"{top}.zip").read_bytes()).hexdigest()
    data = tmp_path / "data"
    with pytest.raises(InputError, match="md5"):   # they are not the official ones
        preprocess(monkeypatch, "--download", "--url", address, "--data_path", data)
    assert os.listdir(data / "raw") == []
    for name, md5 in sums.items():
        monkeypatch.setitem(archives.OFFICIAL, name, md5)
    preprocess(monkeypatch, "--download", "--url", address + "/", "--data_path", data)
    assert np.load(data / "omniglot.npy").shape[:2] == (6, DRAWINGS)


def test_a_full_disk_is_not_the_mirrors_fault(tmp_path, mirror, monkeypatch):
    folder, address = mirror
    (folder / "images_background.zip").write_bytes(b"anything")
    monkeypatch.setattr(archives, "replacing", lambda path: contextlib.nullcontext(Path("/dev/full")))
    with pytest.raises(OSError, match="No space left"):
        archives.download(address, tmp_path)


def test_download_goes_on_with_the_missing_archive(tmp_path, mirror, monkeypatch):
    folder, address = mirror
    make_folders(tmp_path / "made")
    (tmp_path / "background").mkdir()
    (tmp_path / "made" / TOP_FOLDERS[0]).rename(tmp_path / "background" / TOP_FOLDERS[0])
    zip_of(tmp_path / "background", tmp_path / "data" / "raw" / f"{TOP_FOLDERS[0]}.zip")
    with pytest.raises(InputError, match="no folder images_evaluation"):
        preprocess(monkeypatch, "--data_path", tmp_path / "data")
    zip_of(tmp_path / "made", folder / f"{TOP_FOLDERS[1]}.zip")   # all that the mirror has
    md5 = hashlib.md5((folder / f"{TOP_FOLDERS[1]}.zip").read_bytes()).hexdigest()
    monkeypatch.setitem(archives.OFFICIAL, f"{TOP_FOLDERS[1]}.zip", md5)
    preprocess(monkeypatch, "--download", "--url", address, "--data_path", tmp_path / "data")
    assert np.load(tmp_path / "data" / "omniglot.npy").shape[:2] == (6, DRAWINGS)


def test_download_leaves_nothing_where_it_fails(tmp_path, mirror, monkeypatch):
    _, address = mirror
    with pytest.raises(InputError, match="cannot be fetched"):
        preprocess(monkeypatch, "--download", "--url", address, "--data_path", tmp_path / "data")
    assert os.listdir(tmp_path / "data" / "raw") == []
