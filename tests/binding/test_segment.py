"""Segments: making, attaching, refusing."""

import errno
import os
import resource
import struct
import weakref

import pytest

import interproc.codec  # noqa: F401  # tells the native codec about Python
from interproc import _core
from interproc.errors import LayoutMismatch

VERSION_AT = 8  # SegmentHeader in core/layout.hpp: magic, version, ...
PID_NAMESPACE_AT = 40


def test_segment_tells_what_it_is() -> None:
    segment = _core.Segment.create(channels=2)
    assert len(segment.uuid) == 16
    assert segment.channels == 2
    assert segment.lock_kind in ("kernel", "liveness")
    assert segment.size_bytes == os.fstat(segment.fileno()).st_size
    assert weakref.ref(segment)() is segment
    assert segment.uuid != _core.Segment.create().uuid


def test_closed_segment_raises_value_error() -> None:
    segment = _core.Segment.create()
    segment.close()
    segment.close()
    with pytest.raises(ValueError, match="closed"):
        segment.fileno()
    with pytest.raises(ValueError, match="closed"):
        _ = segment.uuid
    with pytest.raises(ValueError, match="closed"):
        _core.QueueBase(segment)


def test_attached_segment_is_the_same_memory() -> None:
    segment = _core.Segment.create()
    fd = os.dup(segment.fileno())
    other = _core.Segment.attach(fd, segment.uuid)
    assert other.fileno() == fd
    writer: _core.QueueBase[str] = _core.QueueBase(segment)
    reader: _core.QueueBase[str] = _core.QueueBase(other)
    writer.put("through both")
    assert reader.get(timeout=0) == "through both"
    other.close()
    reader.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def refused(fd: int, uuid: bytes | None = None) -> OSError:
    """The error of attaching, which must leave the descriptor alone."""
    with pytest.raises(OSError) as caught:
        _core.Segment.attach(fd, uuid)
    os.fstat(fd)
    os.close(fd)
    return caught.value


def test_other_layout_is_refused_with_both_versions_named() -> None:
    segment = _core.Segment.create()
    os.pwrite(segment.fileno(), struct.pack("=I", 4711), VERSION_AT)
    error = refused(os.dup(segment.fileno()))
    assert isinstance(error, LayoutMismatch)
    assert "4711" in str(error)
    assert f" {_core.layout_version}:" in str(error)


def test_other_namespace_is_refused() -> None:
    segment = _core.Segment.create()
    os.pwrite(segment.fileno(), struct.pack("=Q", 1), PID_NAMESPACE_AT)
    assert isinstance(refused(os.dup(segment.fileno())), PermissionError)


def test_wrong_uuid_and_what_is_no_segment_are_refused() -> None:
    segment = _core.Segment.create()
    refused(os.dup(segment.fileno()), bytes(16))
    refused(os.open("/dev/null", os.O_RDWR))
    refused(os.memfd_create("other"))
    with pytest.raises(OSError):
        _core.Segment.attach(-1)
    with pytest.raises(TypeError):
        _core.Segment.attach(0, b"short")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"channels": 0}, ValueError),
        ({"channels": 3}, ValueError),
        ({"channels": 2**40}, ValueError),
        ({"max_items": -1}, OverflowError),
        ({"max_items": "1"}, TypeError),
        ({"max_items": 2**64}, OverflowError),
        ({"size": 1}, TypeError),
    ],
)
def test_wrong_options_are_refused(options: dict[str, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        _core.Segment.create(**options)
    with pytest.raises(TypeError):
        _core.Segment()


def test_out_of_descriptors_names_the_limit_and_the_remedy() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            _core.Segment.create()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.errno == errno.EMFILE
    assert f"ulimit -n, now {lowest_free}" in str(caught.value)


@pytest.mark.parametrize("wish", ["nonsense", "KERNEL", "kernel "])
def test_lock_that_does_not_exist_raises_value_error_and_names_it(wish: str) -> None:
    with pytest.raises(ValueError, match=wish):
        _core.choose_lock(wish)


def test_lock_and_processors() -> None:
    chosen = _core.choose_lock(None)
    assert chosen in ("kernel", "liveness")
    assert _core.choose_lock("liveness") == "liveness"
    assert _core.choose_lock(chosen) == chosen
    assert 1 <= _core.usable_cpus() <= (os.cpu_count() or 1)
