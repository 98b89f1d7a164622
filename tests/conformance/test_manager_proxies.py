"""Proxies of containers: the methods of lists, dicts and sets, and elements that are changed in place."""

import collections.abc
import copy
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.managers import RemoteError, SyncManager
from tests.conformance import manager_bodies as bodies
from tests.contexts import Children


@pytest.fixture(params=["shared memory", "socket"])
def manager(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A manager that is reached in either way."""
    address = None if request.param == "shared memory" else ("127.0.0.1", 0)
    with SyncManager(address=address, ctx=interproc.get_context("fork")) as started:
        yield started
    started.join()


def test_list_has_the_methods_of_a_list(manager: Any) -> None:
    shared = manager.list([3, 1, 2])
    shared.append(4)
    shared.extend([5, 6])
    shared.insert(0, 0)
    shared.remove(6)
    shared.sort()
    shared.reverse()
    assert shared[:] == [5, 4, 3, 2, 1, 0]
    assert (shared.pop(), shared.count(3), shared.index(3), len(shared), 4 in shared) == (0, 1, 2, 5, True)
    shared[0], shared[1:3] = 50, [40]
    del shared[-1]
    assert (shared.copy(), list(shared), list(reversed(shared))) == ([50, 40, 2], [50, 40, 2], [2, 40, 50])
    shared += [1]
    shared *= 2
    nine = [9]
    assert shared + nine == [50, 40, 2, 1, 50, 40, 2, 1, 9]
    assert shared + shared == shared[:] * 2 == shared * 2 == 2 * shared
    shared.clear()
    assert str(shared) == "[]"
    assert isinstance(shared, collections.abc.MutableSequence)


def test_dict_has_the_methods_of_a_dict(manager: Any) -> None:
    shared = manager.dict({"a": 1}, b=2)
    shared["c"] = 3
    shared.update(d=4)
    assert (shared["a"], shared.get("z"), shared.get("z", 0), shared.setdefault("e", 5)) == (1, None, 0, 5)
    assert (shared.pop("e"), shared.pop("e", None), "a" in shared, len(shared)) == (5, None, True, 4)
    assert (shared.keys(), shared.values()) == (["a", "b", "c", "d"], [1, 2, 3, 4])
    assert shared.items() == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    assert (list(shared), list(reversed(shared))) == (["a", "b", "c", "d"], ["d", "c", "b", "a"])
    del shared["d"]
    assert shared.popitem() == ("c", 3)
    assert shared | {"x": 1} == {"a": 1, "b": 2, "x": 1} == {**shared, "x": 1}
    assert {"a": 0, "x": 1} | shared == {"a": 1, "x": 1, "b": 2}
    shared |= {"y": 2}
    assert shared | shared == shared.copy() == dict(shared) == {"a": 1, "b": 2, "y": 2}
    assert shared.fromkeys([1, 2], 0) == {1: 0, 2: 0}
    with pytest.raises(KeyError, match="missing"):
        shared["missing"]
    shared.clear()
    assert str(shared) == "{}"
    assert isinstance(shared, collections.abc.MutableMapping)


def test_set_has_the_methods_of_a_set(manager: Any) -> None:
    shared = manager.set([1, 2])
    shared.add(3)
    shared.discard(9)
    shared.remove(1)
    shared.update([4], [5])
    assert (shared.copy(), set(shared), len(shared), 2 in shared) == ({2, 3, 4, 5}, {2, 3, 4, 5}, 4, True)
    assert (shared & {2, 9}, shared | {9}, shared - {2}, shared ^ {2, 9}) == (
        {2},
        {2, 3, 4, 5, 9},
        {3, 4, 5},
        {3, 4, 5, 9},
    )
    assert ({2, 9} & shared, {9} | shared, {2, 9} - shared, {2, 9} ^ shared) == (
        {2},
        {2, 3, 4, 5, 9},
        {9},
        {3, 4, 5, 9},
    )
    assert shared >= {2} and shared > {2} and not shared <= {2} and not shared < {2}
    assert (shared.isdisjoint({9}), shared.issubset({2}), shared.issuperset({2})) == (True, False, True)
    assert (shared.union([9]), shared.intersection([2]), shared.difference([2])) == ({2, 3, 4, 5, 9}, {2}, {3, 4, 5})
    shared |= {6}
    shared &= {2, 3, 6}
    shared -= {2}
    shared ^= {6, 7}
    assert shared | shared == {3, 7}
    with pytest.raises(TypeError):
        shared |= [1]
    assert shared.pop() in {3, 7}
    shared.clear()
    assert str(shared) == "set()"
    assert isinstance(shared, collections.abc.MutableSet)


def test_root_proxies_compare_by_identity(manager: Any) -> None:
    shared = manager.list([1])
    assert shared != [1]
    assert shared != manager.list([1])
    assert copy.deepcopy(shared) == [1]


def test_changes_of_elements_are_stored(context: SharedMemoryContext, children: Children) -> None:
    with SyncManager(ctx=context) as started:
        manager: Any = started
        shared = manager.dict({"list": [1], "dict": {"deep": {"deeper": []}}, "set": {"x"}})
        children.start(bodies.change_nested, shared)
        children.join()
        expected = {"list": [1, 2], "dict": {"deep": {"deeper": ["x"]}}, "set": {"x", "y"}}
        assert shared.copy() == expected
        assert {name: shared[name] for name in shared.keys()} == expected  # noqa: SIM118


def test_elements_are_live(manager: Any) -> None:
    shared = manager.dict(names=["a"], table={"x": [0]}, flags={1})
    first, second, table, flags = shared["names"], shared["names"], shared["table"], shared["flags"]
    first.append("b")
    shared["names"].append("c")
    assert first == second == ["a", "b", "c"] == shared["names"]
    table["x"].append(1)
    table["y"] = {"new"}
    table["y"].add("er")
    flags.add(2)
    assert (table, flags) == ({"x": [0, 1], "y": {"new", "er"}}, {1, 2})
    assert shared.copy() == {"names": ["a", "b", "c"], "table": table, "flags": {1, 2}}
    shared["names"] = "replaced"
    first.append("detached")
    assert (shared["names"], first) == ("replaced", ["a", "b", "c", "detached"])


@pytest.mark.parametrize(
    "take",
    [
        lambda shared: shared["x"],
        lambda shared: shared.get("x"),
        lambda shared: shared.setdefault("x", []),
        lambda shared: shared.values()[0],
        lambda shared: dict(shared.items())["x"],
        lambda shared: dict(shared)["x"],
    ],
)
def test_every_way_to_an_element_of_a_dict(manager: Any, take: Any) -> None:
    shared = manager.dict(x=[])
    take(shared).append(1)
    assert shared.copy() == {"x": [1]}


@pytest.mark.parametrize(
    "take",
    [
        lambda shared: shared[0],
        lambda shared: shared[-1],
        lambda shared: shared[:][0],
        lambda shared: next(iter(shared)),
        lambda shared: next(reversed(shared)),
    ],
)
def test_every_way_to_an_element_of_a_list(manager: Any, take: Any) -> None:
    shared = manager.list([{}])
    take(shared)["x"] = 1
    assert shared.copy() == [{"x": 1}]


def test_elements_of_namespaces_and_values_are_live(manager: Any) -> None:
    names, value = manager.Namespace(numbers=[]), manager.Value("i", {})
    names.numbers.append(1)
    names.numbers += [2]
    value.value["x"] = 1
    assert (names.numbers, value.value) == ([1, 2], {"x": 1})


def test_elements_of_elements_are_live(manager: Any) -> None:
    shared = manager.list([[[1], {"a": {2}}]])
    outer = shared[0]
    for inner in outer:
        inner.update(b=1) if isinstance(inner, dict) else inner.append(3)
    outer[1].setdefault("c", []).append(4)
    next(value for value in outer[1].values() if isinstance(value, set)).add(5)
    dict(outer[1].items())["c"].append(6)
    next(reversed(outer))["d"] = 7
    assert shared.copy() == [[[1, 3], {"a": {2, 5}, "b": 1, "c": [4, 6], "d": 7}]]


def test_live_list_has_the_methods_of_a_list(manager: Any) -> None:
    shared = manager.list([[3, 1, 2]])
    live: Any = shared[0]
    plain: Any = [3, 1, 2]
    one = [1]
    for each in (live, plain):
        each.append(5)
        each.extend([7, 6])
        each.insert(0, 9)
        each.remove(1)
        each.sort()
        each.reverse()
        each[0], each[1:3] = 50, [40, "x"]
        del each[-1]
        each += ["y"]
        each *= 2
        assert each.pop() == "y"
        assert each.pop(0) == 50
        assert (each.count("x"), each.index("x"), len(each), 5 in each) == (2, 1, 10, True)
    assert (live, shared[0], [*live], list(reversed(live))) == (plain, plain, plain, plain[::-1])
    assert (live + one, live * 2, 2 * live, live.copy(), repr(live)) == (
        plain + one,
        plain * 2,
        plain * 2,
        plain,
        repr(plain),
    )
    assert live < plain + one and live <= plain and live >= plain and live == plain
    live.sort(key=lambda item: str(item), reverse=True)
    assert shared[0] == sorted(plain, key=str, reverse=True)
    live.clear()
    assert shared.copy() == [[]]


def test_live_dict_has_the_methods_of_a_dict(manager: Any) -> None:
    shared = manager.list([{"a": 1}])
    live, plain = shared[0], {"a": 1}
    for each in (live, plain):
        each["b"] = 2
        each.update(c=3)
        each |= {"d": 4}
        assert each.setdefault("e", 5) == 5
        assert (each.pop("e"), each.pop("e", 0), each.popitem()) == (5, 0, ("d", 4))
        del each["a"]
        assert (each["b"], each.get("b"), each.get("z", 9), "b" in each, len(each)) == (2, 2, 9, True, 2)
    assert live == shared[0] == plain == dict(live) == {**live} == live.copy()
    assert (list(live), list(live.keys()), list(live.values()), list(live.items())) == (
        *(list(plain), list(plain), list(plain.values()), list(plain.items())),
    )
    assert (live | {"x": 1}, {"x": 1} | live, list(reversed(live)), repr(live)) == (
        *(plain | {"x": 1}, {"x": 1} | plain, list(reversed(plain)), repr(plain)),
    )
    assert live.fromkeys([1]) == {1: None}
    with pytest.raises(KeyError):
        live["missing"]
    with pytest.raises(KeyError):
        del live["missing"]
    live.clear()
    assert shared.copy() == [{}]


def test_live_set_has_the_methods_of_a_set(manager: Any) -> None:
    shared = manager.list([{1, 2}])
    live, plain = shared[0], {1, 2}
    for each in (live, plain):
        each.add(3)
        each.discard(9)
        each.remove(1)
        each.update([4], [5])
        each |= {6}
        each &= {2, 3, 6}
        each -= {2}
        each ^= {6, 7}
        each.difference_update([9])
        each.intersection_update([3, 7])
        each.symmetric_difference_update([8])
    assert live == shared[0] == plain == set(live) == live.copy()
    assert (live | {9}, live & {3}, live - {3}, live ^ {3, 9}, len(live), 3 in live, sorted(live)) == (
        *(plain | {9}, plain & {3}, plain - {3}, plain ^ {3, 9}, 3, True, sorted(plain)),
    )
    assert ({9} | live, {3} & live, {3, 9} - live, {3, 9} ^ live) == ({9} | plain, {3}, {9}, {3, 9} ^ plain)
    assert live > {3} and live >= plain and not live < plain and live <= plain and live == plain
    assert (live.union([9]), live.isdisjoint([9]), live.issubset(plain), live.issuperset(plain)) == (
        *(plain | {9}, True, True, True),
    )
    assert type(live | {9}) is type(live.copy()) is set
    assert live.pop() not in live
    live.clear()
    assert shared.copy() == [set()]


def test_live_elements_are_lists_dicts_and_sets_for_others(manager: Any) -> None:
    shared = manager.dict(tree={"leaves": [1, {"x": 2}]}, numbers={1})
    tree = shared["tree"]
    assert isinstance(tree, dict) and isinstance(tree["leaves"], list) and isinstance(shared["numbers"], set)
    assert json.loads(json.dumps(tree)) == {"leaves": [1, {"x": 2}]}
    for made in (pickle.loads(pickle.dumps(tree)), copy.copy(tree), copy.deepcopy(tree), tree.copy(), tree | {}):
        assert type(made) is dict and type(made["leaves"]) is list
        made["leaves"].append(3)
    assert tree == {"leaves": [1, {"x": 2}]}
    match tree["leaves"]:
        case [1, {"x": found}]:
            assert found == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(tree)


def test_stored_copies_are_independent(manager: Any) -> None:
    shared, other = manager.dict(x=[1]), manager.list()
    shared["y"] = shared["x"]
    other.append(shared["x"])
    shared["x"].append(2)
    assert shared.copy() == {"x": [1, 2], "y": [1]}
    assert other.copy() == [[1]]


def test_the_documented_way_to_change_an_element_works(manager: Any) -> None:
    shared = manager.list([{}])
    element = shared[0]
    element["a"] = 1
    element["b"] = 2
    shared[0] = element
    assert shared.copy() == [{"a": 1, "b": 2}]


def test_updates_in_one_step(manager: Any) -> None:
    shared = manager.dict(inner={"n": 1}, numbers=[1])
    assert (shared.add("n"), shared.add("n", 2.5), shared.add("text", "a"), shared.add("text", "b")) == (
        1,
        3.5,
        "a",
        "ab",
    )
    assert shared.update_with("n", lambda number: number * 2) == 7.0
    assert shared.update_with("new", lambda names: [*names, "x"], default=[]) == ["x"]
    assert (shared["inner"].add("n", 4), shared["inner"].add("m")) == (5, 1)
    assert shared["inner"].update_with("n", lambda number: -number) == -5
    assert (shared["numbers"].add(0, 2), shared["numbers"].update_with(0, str)) == (3, "3")
    assert shared.copy() == {"inner": {"n": -5, "m": 1}, "numbers": ["3"], "n": 7.0, "text": "ab", "new": ["x"]}
    numbers = manager.list([1, 2])
    assert (numbers.add(0), numbers.update_with(1, float), numbers[:]) == (2, 2.0, [2, 2.0])
    with pytest.raises(IndexError):
        numbers.add(2)
    value = manager.Value("i", 1)
    assert (value.add(), value.add(5), value.update_with(lambda number: number % 4), value.value) == (2, 7, 3, 3)
    with pytest.raises(ZeroDivisionError):
        value.update_with(lambda number: number / 0)
    assert value.value == 3


def test_concurrent_additions_are_all_counted(context: SharedMemoryContext, children: Children) -> None:
    with SyncManager(ctx=context) as started:
        manager: Any = started
        shared = manager.dict(nested={})
        for _ in range(2):
            children.start(bodies.add_often, shared, "count", 200)
            children.start(bodies.add_often, shared["nested"], "count", 0)
        bodies.add_often(shared["nested"], "count", 100)
        children.join()
        assert shared.copy() == {"count": 800, "nested": {"count": 200}}


def test_proxies_inside_of_containers(manager: Any) -> None:
    inner = manager.list([1])
    outer = manager.dict(inner=inner, plain=[inner])
    outer["inner"].append(2)
    outer["plain"][0].append(3)
    assert inner[:] == outer["inner"][:] == [1, 2, 3]
    inner.append(inner)
    assert inner[-1][0] == 1


def test_methods_that_do_not_exist_say_so(manager: Any) -> None:
    shared = manager.list()
    with pytest.raises(RemoteError, match="push"):
        shared._callmethod("push", (1,))


def test_what_cannot_be_sent_leaves_the_proxy_usable(manager: Any) -> None:
    shared = manager.list()
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        shared.append(bodies.Unsendable())
    with pytest.raises(RemoteError, match="cannot be made anew"):
        shared.append(bodies.Unrebuildable())
    shared.append(1)
    with pytest.raises(OSError, match="cannot be made anew"):
        shared.update_with(0, lambda number: bodies.make_unrebuildable())
    assert len(shared) == 1
