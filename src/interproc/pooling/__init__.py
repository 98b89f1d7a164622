"""The engine of pools and executors: who works on what, and what becomes of it when somebody dies.

`engine` is the one thread that supervises, `crew` the workers as it sees them, `worker` what they run, `tasks` and
`feeding` where tasks come from, `results` what callers wait for, `messages` what travels.
"""
