"""Settings that hold for all tests."""

import os

# Before torch is imported: on few, shared cores OpenMP's spinning threads slow each other down tenfold.
os.environ.setdefault("OMP_NUM_THREADS", "1")
