"""What the user got wrong: one clear line on standard error and exit status 2, never a traceback."""
import reprlib
import sys

LONGEST_LINE = 2000   # characters of an error's line
_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 3, 60, 60, 40


class InputError(ValueError):
    """Bad input; its text names the flag or file, what was found and what was expected."""

    def __str__(self):
        return one_line(super().__str__())


def one_line(text):
    """`text` as one line of bounded length: line breaks and control characters escaped."""
    escaped = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return escaped if len(escaped) <= LONGEST_LINE else escaped[:LONGEST_LINE] + " ..."


def shown(value):
    """`value`, of any type, depth and length, as a short text for a message."""
    try:
        return _short.repr(value)
    except ValueError:   # Python does not write whole numbers of more than 4300 digits
        return f"a {type(value).__name__} too long to show"


def show_any_text():
    """Let standard output and error show what their encoding lacks by escapes: a locale may know ASCII alone."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):   # not so where a test or notebook put something else in its place
            stream.reconfigure(errors="backslashreplace")


def run_program(main):
    """Run `main()`; end the process with its status, or with 2 and one line on an `InputError`."""
    show_any_text()
    try:
        status = main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
