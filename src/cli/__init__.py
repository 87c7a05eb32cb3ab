"""What every program needs around its work: options, presets, errors, signals, locks, and files written whole."""
