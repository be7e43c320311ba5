"""Assent's models: loading models and computing the group batch."""

import logging

# Where it is installed, every import of peft loads it, and it then advises to install kernels for CPUs.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
