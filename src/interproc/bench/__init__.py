"""The benchmark: interproc beside multiprocessing, faster-fifo and pyzmq. `interproc.cli.bench` is its command.

`rows` says what is measured, `experiments` how, `peers` with which library. Every measurement is a `trial` in processes
of its own; `rounds` interleaves them and `results` keeps what came out, for `table`, `report` and `plots`.
"""
