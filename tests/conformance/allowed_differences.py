"""Where the public surface is allowed to differ from the standard library's, and why.

The signature test fails for a difference that is not here, and for an entry that describes none. Parameters that are
added, with a default, are no difference.
"""

_CTYPES = "how the standard library makes and pickles the classes of its ctypes objects; ours are made otherwise"

_SERVERS = "helps the standard library's server of managers, and means nothing without it"

ALLOWED = {
    "connection.families": "IPv6 is added",
    "context.DefaultContext": "ours chooses among its own contexts; the package makes the one there is",
    "managers.BasePoolProxy": "the generated base of the standard library's PoolProxy",
    "managers.HAS_SHMEM": "whether there is shared memory; there is",
    "managers.ProcessLocalSet": _SERVERS,
    "managers.all_methods": _SERVERS,
    "managers.convert_to_error": _SERVERS,
    "managers.public_methods": _SERVERS,
    "managers.rebuild_as_list": _SERVERS,
    "managers.reduce_array": _SERVERS,
    "resource_tracker.cleanup_noop": "has no purpose outside of the standard library's tracker process",
    "sharedctypes.class_cache": _CTYPES,
    "sharedctypes.make_property": _CTYPES,
    "sharedctypes.prop_cache": _CTYPES,
    "sharedctypes.rebuild_ctype": _CTYPES,
    "sharedctypes.reduce_ctype": _CTYPES,
    "sharedctypes.template": _CTYPES,
}
