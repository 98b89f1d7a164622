"""What pickle finds by name goes by name; what it does not find goes by value."""

import threading
from typing import Any

import interproc


def by_name(number: int) -> int:
    """A function with a name to be found by."""
    return number + 1


class Named:
    """A class with a name to be found by."""


def make_adder(summand: int) -> Any:
    """Makes a closure."""
    return lambda number: number + summand


def _through_a_queue(obj: Any) -> Any:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put(obj)
    return queue.get()


def test_what_has_a_name_goes_by_name() -> None:
    assert _through_a_queue(by_name) is by_name
    assert _through_a_queue(Named) is Named
    assert _through_a_queue([by_name, len, str.upper]) == [by_name, len, str.upper]
    received = _through_a_queue([lambda: Named, by_name])
    assert received[1] is by_name


def test_lambdas_and_closures_go_by_value() -> None:
    assert _through_a_queue(lambda number: number * 2)(21) == 42
    assert _through_a_queue(make_adder(2))(40) == 42
    assert _through_a_queue({"call": [make_adder(1)]})["call"][0](1) == 2


def test_local_class_goes_by_value_with_its_instances() -> None:
    class Local:
        def __init__(self, number: int) -> None:
            self.number = number

        def double(self) -> int:
            return 2 * self.number

    received = _through_a_queue(Local(21))
    assert received.double() == 42
    assert _through_a_queue(Local(1).double)() == 2


def test_big_buffers_beside_a_lambda_arrive_writable() -> None:
    import numpy

    array, function = _through_a_queue((numpy.arange(100_000), lambda: 1))
    assert function() == 1
    array[0] = 7
    assert array[-1] == 99_999


def test_many_threads_put_what_goes_by_value() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()

    def put(number: int) -> None:
        for _ in range(20):
            queue.put(lambda: number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(queue.get()() for _ in range(80)) == sorted(list(range(4)) * 20)
