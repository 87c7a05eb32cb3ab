"""Folders as people have them: what a NAS, a USB stick or a desktop puts beside one's own files is passed over."""
from pathlib import Path

SYSTEM = {"@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found", "system volume information", "thumbs.db",
          "desktop.ini"}


def is_own(name: str) -> bool:
    """Whether a file's or folder's name is one that people give: not hidden, and of no system."""
    return not name.startswith((".", "__")) and name.lower() not in SYSTEM


def own_folders(folder: Path) -> list[Path]:
    """The folders in a folder that are people's own, sorted.

    Raises
    ------
    OSError
        Where it cannot be read.
    """
    return sorted(entry for entry in folder.iterdir() if is_own(entry.name) and entry.is_dir())
