"""Shared by all tests: the device, and real Omniglot where OMNIGLOT_PATH names it."""
from src import device

device.set_up("CPU")
