"""CPython's own tests of multiprocessing, run against interproc: `make test-stdlib`, or `python -m tests.stdlib`."""
