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
    "Sends bytes as one message, of any contiguous buffer and any length: `size` of them from `offset` on, all\n"
    "others by default. Blocks and raises like send(); while it does, the buffer must not change. What is larger\n"
    "than 1 MiB goes through in pieces while both sides copy.\n\n"
    "Raises:\n"
    "    ValueError: That part does not lie within `buf`.");

inline constexpr const char* recv_bytes = PyDoc_STR(
    "recv_bytes($self, /, maxlength=None, timeout=None)\n--\n\n"
    "Receives the next message as bytes; what send() sent comes as its pickle. Blocks and raises like recv().\n\n"
    "Raises:\n"
    "    OSError: The message, which is dropped, is longer than `maxlength`.");

inline constexpr const char* recv_view = PyDoc_STR(
    "recv_view($self, /, maxlength=None, timeout=None)\n--\n\n"
    "Receives the next message like recv_bytes(), as a writable memoryview that is the caller's own.\n\n"
    "From 8 KiB on it lies where the sender has put it, and nothing is copied; it goes back to the pipe with the\n"
    "last object that uses it, also after this end was closed, and a forked child has a copy. What is smaller, too\n"
    "large to go in as one piece (1 MiB waits at most), or more than receivers may keep, is copied once.\n\n"
    "Raises:\n"
    "    OSError: The message, which is dropped, is longer than `maxlength`.");

inline constexpr const char* recv_bytes_into = PyDoc_STR(
    "recv_bytes_into($self, /, buf, offset=0, timeout=None)\n--\n\n"
    "Receives the next message into a writable buffer, from `offset` on, with one copy. Blocks and raises like\n"
    "recv(); if it raises, what is in the buffer is undefined, and nothing is lost unless it says so.\n\n"
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

inline constexpr const char* connection_empty_buffer = PyDoc_STR(
    "empty_buffer($self, nbytes, /)\n--\n\n"
    "Makes a buffer in the pipe's memory, to be filled through a memoryview and then sent without a copy.\n\n"
    "It arrives as a writable memoryview. All else is as with empty_array(), which see.\n\n"
    "Raises:\n"
    "    ValueError: `nbytes` is negative.\n"
    "    OSError, MemoryError: This end is closed or only receives, or there is no memory.");

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
    "Returns what was counted, as {\"sending\": {...}, \"receiving\": {...}}: the directions that this end has.\n\n"
    "All numbers are of all processes together, and counted from the beginning, unless it says otherwise:\n\n"
    "    items, max_items, most_items: How many messages wait; how many may, 0 for no limit; how many did at most.\n"
    "    puts, gets, bytes_in, bytes_out: Messages, and bytes of payload.\n"
    "    copied_bytes: How many bytes were copied for them, in and out: divided by bytes_in, 2 where everything is\n"
    "        copied in and out, 1 where receivers read in place, near 0 for what was lent.\n"
    "    lent, lent_bytes: Arrays and buffers that were put without a copy.\n"
    "    views, viewed_bytes: Messages that receivers read in place.\n"
    "    put_waits, get_waits: How often somebody went to sleep, because there was no room or no message.\n"
    "    empty_wakes: Wake-ups that found nobody asleep.\n"
    "    spins, spin_hits: How often this process looked for a while before it would sleep; how often that was "
    "enough.\n"
    "    bytes_used, max_bytes, most_bytes: Memory of what waits, is read in place or lent, now; what it may be; what\n"
    "        messages had at most.\n"
    "    taken_bytes, most_taken_bytes, blocks_taken: The part of it that receivers read in place or lenders fill.\n"
    "    blocks_used, most_blocks, blocks_made, chunks_used: The pieces that memory is handed out in.\n"
    "    resident_bytes, warm_bytes: Memory that the system has really given to both directions; the idle part that is "
    "kept\n"
    "        for the next messages.\n"
    "    streams: Messages that went through in pieces.\n"
    "    leases, failed, redelivered, buried: For queues that redeliver or count the tasks of the killed: messages "
    "taken\n"
    "        and not yet done; those that count as failed; that came again; that were given up.\n"
    "    dropped: What queues count that drop messages; 0 here.\n"
    "    participants, recoveries, sweeps: Processes that use it now; repairs after one was killed.\n\n"
    "Takes microseconds; counting itself costs nothing that could be measured.");

}  // namespace interproc::binding::docs
