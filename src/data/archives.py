"""The official archives: fetched, checked, and unpacked so that nothing half done is left behind."""
import hashlib
import http.client
import lzma
import os
import stat
import struct
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from mindspore_maml.cli.atomic_files import filling, make_folder, replacing
from mindspore_maml.cli.errors import InputError, one_line
from mindspore_maml.cli.memory import readable
from mindspore_maml.cli.reading import open_regular

# Archives of github.com/brendenlake/omniglot (python/) and their md5, as published there
OFFICIAL = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
TOP_FOLDERS = ("images_background", "images_evaluation")   # what they hold, and other archives must
CHUNK = 1 << 16   # bytes read at a time
TIMEOUT = 60      # seconds without a byte
MOST_ENTRIES, MOST_UNPACKED = 500_000, 4 * 10**9   # bytes; Omniglot's have 32,460 images and 15 MB
# The end of a zip archive: its mark, where after it the entries are counted, and with a comment its longest (PKWARE's
# APPNOTE.TXT, 4.3.16). A count of `MANY` says that another record counts them.
END_MARK, COUNT_AT, LONGEST_END, MANY = b"PK\x05\x06", 10, 22 + 65535, 0xFFFF


def download(base: str, raw: Path) -> None:
    """Fetch the official archives that `raw` lacks from `base`.

    Raises
    ------
    InputError
        Where one cannot be fetched or its md5 differs; no part of it is kept.
    """
    raw = make_folder(raw, "--data_path")
    for name, md5 in OFFICIAL.items():
        if not (raw / name).exists():
            with replacing(raw / name) as temporary:
                found = _fetch(f"{base.rstrip('/')}/{name}", temporary)
                if found != md5:
                    raise InputError(f"--url {base}: {name} has md5 {found}; expected {md5}")


def _fetch(address, path):
    """Write what lies at `address` to `path`; return its md5."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for chunk in _received(address, path.name):
            file.write(chunk)
            digest.update(chunk)
    return digest.hexdigest()


def _received(address, name):
    """What lies at `address`, a part at a time, with a bar that says how much has come."""
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            with tqdm(total=size or None, unit="B", unit_scale=True, desc=name, disable=None) as bar:
                while chunk := answer.read(CHUNK):
                    yield chunk
                    bar.update(len(chunk))
    except (OSError, ValueError, urllib.error.URLError, http.client.HTTPException) as error:
        raise InputError(f"--download: {address} cannot be fetched ({error}); expected the archive there "
                         f"(--url names a mirror)") from error


def unpack(archives: list[Path], folder: Path) -> None:
    """Unpack all `archives` into `folder`, where nothing appears before everything is unpacked.

    Raises
    ------
    InputError
        Where an archive is damaged, an entry is a link or would land outside, or a top folder is in none of them.
    """
    try:
        with filling(folder) as temporary:
            for archive in archives:
                unpack_one(archive, temporary)
            for top in TOP_FOLDERS:
                if not (temporary / top).is_dir():
                    raise InputError(f"{', '.join(map(str, archives))}: no folder {top} in it; expected archives with "
                                     f"{' and '.join(TOP_FOLDERS)} (--download fetches a missing official one)")
    except OSError as error:
        raise InputError(f"--data_path {folder}: cannot unpack the archives there ({error}); expected a folder to "
                         f"write to, and room on the disk") from error


def unpack_one(archive: Path, folder: Path) -> None:
    """Unpack one archive into an empty folder.

    Raises
    ------
    InputError
        Where it is damaged, holds too much or a link, or an entry would land outside.
    """
    try:
        with open_regular(archive) as file, zipfile.ZipFile(file) as content:
            entries = content.infolist()
            _refuse_too_much(archive, entries)
            _refuse_lost_entries(archive, file, entries)
            for entry in entries:
                _refuse_outside(archive, entry)
            for entry in tqdm(entries, unit="file", desc=one_line(archive.name), disable=None):
                _extract(content, entry, folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
            struct.error, OverflowError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{archive}: damaged ({error}); expected a zip archive (--download fetches the official "
                         f"ones where they are missing)") from error


def _refuse_too_much(archive, entries):
    """A small archive can hold a file that fills any disk, or more files than a file system takes."""
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"{archive}: holds {len(entries)} entries; expected at most {MOST_ENTRIES}")
    size = sum(entry.file_size for entry in entries)
    if size > MOST_UNPACKED:
        raise InputError(f"{archive}: would unpack to {readable(size)}; expected at most {readable(MOST_UNPACKED)}")


def _refuse_lost_entries(archive, file, entries):
    """The end of a zip archive counts its entries; Python reads on without those that damage hides."""
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - LONGEST_END))
    end = file.read()
    start = end.rfind(END_MARK)
    counted = struct.unpack_from("<H", end, start + COUNT_AT)[0]
    if counted not in (len(entries), MANY):
        raise InputError(f"{archive}: damaged (it counts {counted} entries and shows {len(entries)})")
    names = {entry.filename for entry in entries}
    if len(names) < len(entries):
        raise InputError(f"{archive}: damaged (several entries have the same name)")


def _extract(content, entry, folder):
    """Write one entry, and check what was written against its own size and checksum: Python skips empty ones."""
    checksum = size = 0
    path = folder / PurePosixPath(entry.filename)
    with content.open(entry) as packed:
        if entry.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            checksum, size = zlib.crc32(packed.read()), entry.file_size
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                while chunk := packed.read(CHUNK):
                    file.write(chunk)
                    checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
    if (checksum, size) != (entry.CRC, entry.file_size):
        raise zipfile.BadZipFile(f"{entry.filename} differs from its checksum")


def _refuse_outside(archive, entry):
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise InputError(f"{archive}: its entry {entry.filename!r} would land outside; expected paths inside")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError(f"{archive}: its entry {entry.filename!r} is a link; expected files and folders")
