// Docstrings of ConnectionBase: what help() shows for connections.
#pragma once

#include "python.hpp"

namespace interproc::binding::docs {

inline constexpr const char* connection = PyDoc_STR("One end of a pipe in shared memory.");

inline constexpr const char* send = PyDoc_STR(
    "send($self, /, obj, timeout=None)\n--\n\n"
    "Sends an object to the other end.\n\n"
    "Blocks while too much waits there to be received, until there is room or the timeout (seconds, for the\n"
    "whole call) has passed; signal handlers run meanwhile.\n\n"
    "Raises:\n"
    "    TimeoutError: The timeout has passed.\n"
    "    BrokenPipeError: The other end is closed everywhere, or its processes have ended.\n"
    "    OSError: This end is closed or only receives, or memory is out.\n"
    "    UnsendableError: The object cannot be pickled; names the part that is to blame.");

inline constexpr const char* recv = PyDoc_STR(
    "recv($self, /, timeout=None)\n--\n\n"
    "Receives the next object; it belongs to the caller, with all its memory.\n\n"
    "Blocks until something comes or the timeout (seconds, for the whole call) has passed; signal handlers\n"
    "run meanwhile, and nothing is lost when one raises. Unpickles what send_bytes() sent. An error of\n"
    "unpickling costs that message only.\n\n"
    "Raises:\n"
    "    TimeoutError: The timeout has passed.\n"
    "    EOFError: Nothing is left, and the other end is closed everywhere, or its processes have ended.\n"
    "    OSError: This end is closed or only sends.");

inline constexpr const char* send_bytes = PyDoc_STR(
    "send_bytes($self, /, buf, offset=0, size=None, timeout=None)\n--\n\n"
    "Sends bytes as one message: `size` of them from `offset` on, all others by default. Blocks and raises\n"
    "like send().\n\n"
    "Raises:\n"
    "    ValueError: That part does not lie within `buf`.");

inline constexpr const char* recv_bytes = PyDoc_STR(
    "recv_bytes($self, /, maxlength=None, timeout=None)\n--\n\n"
    "Receives the next message as bytes; what send() sent comes as its pickle. Blocks and raises like recv().\n\n"
    "Raises:\n"
    "    OSError: The message, which is dropped, is longer than `maxlength`.");

inline constexpr const char* recv_bytes_into = PyDoc_STR(
    "recv_bytes_into($self, /, buf, offset=0, timeout=None)\n--\n\n"
    "Receives the next message into a writable buffer, from `offset` on. Blocks and raises like recv().\n\n"
    "Returns:\n"
    "    The length of the message.\n\n"
    "Raises:\n"
    "    BufferTooShort: The message does not fit; it is the exception's argument.\n"
    "    ValueError: `offset` does not lie within `buf`.");

inline constexpr const char* send_many = PyDoc_STR(
    "send_many($self, /, iterable, timeout=None)\n--\n\n"
    "Sends all objects of an iterable, by batches of up to 64; costs much less for each than send().\n\n"
    "Raises:\n"
    "    TimeoutError, BrokenPipeError, ...: As send(); the exception's `count` says how many were sent\n"
    "        before.");

inline constexpr const char* recv_many = PyDoc_STR(
    "recv_many($self, /, max_items, timeout=None)\n--\n\n"
    "Receives at least one object and at most `max_items`, as many as are there. Blocks like recv(), only for\n"
    "the first.\n\n"
    "Returns:\n"
    "    A list of objects, first come first.");

inline constexpr const char* poll = PyDoc_STR(
    "poll($self, /, timeout=0.0)\n--\n\n"
    "Returns whether recv() would not block: something is there, or the other end is gone.\n\n"
    "Waits for that until the timeout (seconds) has passed; for ever with None.");

inline constexpr const char* close_connection = PyDoc_STR(
    "close($self, /)\n--\n\n"
    "Closes this end in this process. Threads that wait in it raise OSError.");

inline constexpr const char* connection_fileno = PyDoc_STR(
    "fileno($self, /)\n--\n\n"
    "Returns a descriptor that is readable while there is something to receive or the other end is gone.\n\n"
    "For select, asyncio and GUI loops. It belongs to the connection: do not read from it or close it.");

inline constexpr const char* connection_statistics = PyDoc_STR(
    "statistics($self, /)\n--\n\n"
    "Returns what was counted in each direction, by both ends together.");

}  // namespace interproc::binding::docs
