"""The id of a run: when it was started, and a random part."""
import datetime
import re
import secrets

PATTERN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")


def new_run_id() -> str:
    """An id such as 20260131-120000-abcdef."""
    return f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def is_run_id(value: object) -> bool:
    """Whether `value`, of any type, is such an id."""
    return isinstance(value, str) and PATTERN.fullmatch(value) is not None
