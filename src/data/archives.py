"""The official archives: fetched, checked, and unpacked so that nothing half done is left behind."""
import hashlib
import http.client
import lzma
import stat
import struct
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import PurePosixPath

from tqdm import tqdm

from src.cli.atomic_files import filling, make_folder, replacing
from src.cli.errors import InputError

# Archives of github.com/brendenlake/omniglot (python/) and their md5, as published there
OFFICIAL = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
TOP_FOLDERS = ("images_background", "images_evaluation")   # what they hold, and other archives must
CHUNK = 1 << 16   # bytes read at a time
TIMEOUT = 60      # seconds without a byte


def download(base, raw):
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
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer, path.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            with tqdm(total=size or None, unit="B", unit_scale=True, desc=path.name, disable=None) as bar:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
    except (OSError, ValueError, urllib.error.URLError, http.client.HTTPException) as error:
        raise InputError(f"--download: {address} cannot be fetched ({error}); expected the archive there "
                         f"(--url names a mirror)") from error
    return digest.hexdigest()


def unpack(archives, folder):
    """Unpack all `archives` into `folder`, where nothing appears before everything is unpacked.

    Raises
    ------
    InputError
        Where an archive is damaged, an entry is a link or would land outside, or a top folder is in none of them.
    """
    try:
        with filling(folder) as temporary:
            for archive in archives:
                _unpack_one(archive, temporary)
            for top in TOP_FOLDERS:
                if not (temporary / top).is_dir():
                    raise InputError(f"{', '.join(map(str, archives))}: no folder {top} in it; expected archives with "
                                     f"{' and '.join(TOP_FOLDERS)} (--download fetches a missing official one)")
    except OSError as error:
        raise InputError(f"--data_path {folder}: cannot unpack the archives there ({error}); expected a folder to "
                         f"write to, and room on the disk") from error


def _unpack_one(archive, folder):
    try:
        with zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                _refuse_outside(archive, entry)
            for entry in tqdm(content.infolist(), unit="file", desc=archive.name, disable=None):
                content.extract(entry, folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
            struct.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{archive}: damaged ({error}); expected a zip archive (--download fetches the official "
                         f"ones where they are missing)") from error


def _refuse_outside(archive, entry):
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise InputError(f"{archive}: its entry {entry.filename!r} would land outside; expected paths inside")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError(f"{archive}: its entry {entry.filename!r} is a link; expected files and folders")
