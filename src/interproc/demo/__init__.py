"""The demonstration: one program, run serially, with multiprocessing and with interproc.

It indexes a folder of Python files. `pipeline` is the program as a user of multiprocessing would write it, `serial` the
same work in one process, `batched` the pipeline with interproc's extensions.
"""
