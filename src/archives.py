"""The official archives: fetched, checked, and unpacked so that nothing half done is left behind."""
import hashlib
import http.client
import shutil
import stat
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from src.errors import InputError
from src.files import make_folder, replacing

# Archives of github.com/brendenlake/omniglot (python/) and their md5, as published there
OFFICIAL = {
    "images_background.zip": "68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "6b91aef0f799c5bb55b94e3f2daec811",
}
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
    """Unpack all `archives` into `folder`, which appears only when everything is in it.

    Raises
    ------
    InputError
        Where an archive is damaged, or an entry is a link or would land outside; `folder` is not made then.
    """
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"--data_path {folder.parent}: cannot unpack the archives there ({error.strerror}); "
                         f"expected a folder to write to") from error
    try:
        for archive in archives:
            _unpack_one(archive, temporary)
        temporary.chmod(0o755)
        temporary.rename(folder)
    except OSError as error:
        raise InputError(f"--data_path {folder}: cannot unpack the archives there ({error}); expected no such folder "
                         f"yet, and room on the disk") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack_one(archive, folder):
    try:
        with zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                _refuse_outside(archive, entry)
            for entry in tqdm(content.infolist(), unit="file", desc=archive.name, disable=None):
                content.extract(entry, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
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
