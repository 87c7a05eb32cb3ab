"""Long attacks on the programs; tests/test_stress.py runs each of them for a moment."""
