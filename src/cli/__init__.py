"""The command line: options, presets, errors, and files that are never half written."""
