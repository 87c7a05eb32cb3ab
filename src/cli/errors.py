"""What the user got wrong: one clear line on standard error and exit status 2, never a traceback."""
import sys


class InputError(ValueError):
    """Bad input; its text names the flag or file, what was found and what was expected."""


def run_program(main):
    """Run `main()`; end the process with its status, or with 2 and one line on an `InputError`."""
    try:
        status = main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
