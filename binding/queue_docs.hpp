// Docstrings of QueueBase: what help() shows for queues.
#pragma once

#include "python.hpp"

namespace interproc::binding::docs {

inline constexpr const char* queue = PyDoc_STR("A first-in first-out line of objects in shared memory.");

inline constexpr const char* put = PyDoc_STR(
    "put($self, /, obj, block=True, timeout=None)\n--\n\n"
    "Puts an object at the end.\n\n"
    "When it returns, the object is in shared memory: it outlives this process, and every process sees it.\n"
    "Blocks while the queue is full, until there is room, the timeout (seconds, for the whole call) has\n"
    "passed or the queue is shut down; signal handlers run meanwhile.\n\n"
    "Raises:\n"
    "    Full: No room, and `block` is false or the timeout has passed.\n"
    "    NoConsumer: No room, and nobody takes from the queue; only where it was made with `on_no_consumer`.\n"
    "    ShutDown: The queue was shut down.\n"
    "    ValueError: This object is closed.\n"
    "    UnsendableError: The object cannot be pickled; names the part that is to blame.\n"
    "    OSError: Out of memory; names the limit and the remedy.\n\n"
    "Differs: pickles in the calling thread, so errors are raised here and later changes of the object do not\n"
    "show.");

inline constexpr const char* get = PyDoc_STR(
    "get($self, /, block=True, timeout=None)\n--\n\n"
    "Takes the first object; it belongs to the caller, with all its memory.\n\n"
    "Blocks while the queue is empty, until something comes, the timeout (seconds, for the whole call) has\n"
    "passed or the queue is shut down; signal handlers run meanwhile, and nothing is lost when one raises. An\n"
    "error of unpickling is raised here; it costs that object only.\n\n"
    "Raises:\n"
    "    Empty: Nothing there, and `block` is false or the timeout has passed.\n"
    "    ShutDown: The queue was shut down and is empty.\n"
    "    ValueError: This object is closed.");

inline constexpr const char* put_nowait = PyDoc_STR(
    "put_nowait($self, /, obj)\n--\n\n"
    "The same as put(obj, block=False).");

inline constexpr const char* get_nowait = PyDoc_STR(
    "get_nowait($self, /)\n--\n\n"
    "The same as get(block=False).");

inline constexpr const char* put_many = PyDoc_STR(
    "put_many($self, /, iterable, block=True, timeout=None)\n--\n\n"
    "Puts all objects of an iterable, which costs much less for each than put().\n\n"
    "They go in by batches of up to 64; other producers' objects may come between. The timeout holds for the\n"
    "whole call.\n\n"
    "Raises:\n"
    "    Full, ShutDown, UnsendableError, ...: As put(), or what the iterable raises; the exception's `count`\n"
    "        says how many objects went in before.");

inline constexpr const char* get_many = PyDoc_STR(
    "get_many($self, /, max_items, block=True, timeout=None)\n--\n\n"
    "Takes at least one object and at most `max_items`, as many as are there.\n\n"
    "Blocks like get(), only for the first. Where unpickling one raises, the others are left for the next\n"
    "call.\n\n"
    "Returns:\n"
    "    A list of objects, first come first.\n\n"
    "Raises:\n"
    "    Empty, ShutDown, ValueError: As get(); ValueError also for `max_items` below one.");

inline constexpr const char* empty_buffer = PyDoc_STR(
    "empty_buffer($self, nbytes, /)\n--\n\n"
    "Makes a buffer in the queue's memory, to be filled through a memoryview and then put without a copy.\n\n"
    "It arrives as a writable memoryview. All else is as with empty_array(), which see.\n\n"
    "Raises:\n"
    "    ValueError: `nbytes` is negative, or this object is closed.\n"
    "    ShutDown: The queue was shut down.\n"
    "    OSError, MemoryError: There is no memory.");

inline constexpr const char* qsize = PyDoc_STR(
    "qsize($self, /)\n--\n\n"
    "Returns how many objects are in the queue: exact at one point in time.");

inline constexpr const char* empty = PyDoc_STR(
    "empty($self, /)\n--\n\n"
    "Returns whether nothing is in the queue: exact at one point in time.");

inline constexpr const char* full = PyDoc_STR(
    "full($self, /)\n--\n\n"
    "Returns whether `maxsize` objects are in the queue: exact at one point in time.");

inline constexpr const char* task_done = PyDoc_STR(
    "task_done($self, /)\n--\n\n"
    "Says that an object that was taken has been worked on; see join().\n\n"
    "Where the queue redelivers, it acknowledges one: what this thread took longest ago, and where it has taken\n"
    "nothing, what this process did.\n\n"
    "Raises:\n"
    "    ValueError: Called more often than objects were put, or where the queue redelivers than this process\n"
    "        has taken.");

inline constexpr const char* join = PyDoc_STR(
    "join($self, /, timeout=None)\n--\n\n"
    "Blocks until task_done() was called for every object that was put, or the timeout (seconds) has passed.\n\n"
    "What a consumer took that ended before its task_done() counts as done in a JoinableQueue, and comes again\n"
    "where the queue redelivers. That a process was killed is seen within one to two seconds.\n\n"
    "Returns:\n"
    "    Whether all is done.");

inline constexpr const char* shutdown = PyDoc_STR(
    "shutdown($self, /, immediate=False)\n--\n\n"
    "Ends the queue for all processes: put() raises ShutDown from now on, get() once nothing is left.\n\n"
    "Wakes everybody that waits. With `immediate`, what is in the queue is dropped and counts as done.");

inline constexpr const char* close = PyDoc_STR(
    "close($self, /)\n--\n\n"
    "Ends the use of this object; other objects and processes keep theirs. Threads that wait in it raise\n"
    "ValueError.");

inline constexpr const char* fileno = PyDoc_STR(
    "fileno($self, /)\n--\n\n"
    "Returns a descriptor that is readable while something is in the queue, or once it was shut down.\n\n"
    "For select, asyncio and GUI loops; it may be readable although another process has taken the object\n"
    "since, so use get_nowait(). It belongs to the queue: do not read from it or close it.\n\n"
    "Raises:\n"
    "    OSError: Out of descriptors.");

inline constexpr const char* statistics = PyDoc_STR(
    "statistics($self, /)\n--\n\n"
    "Returns what was counted.\n\n"
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
    "    resident_bytes, warm_bytes: Memory that the system has really given; the idle part that is kept\n"
    "        for the next messages.\n"
    "    streams: Messages that went through in pieces.\n"
    "    leases, failed, redelivered, buried: For queues that redeliver or count the tasks of the killed: messages "
    "taken\n"
    "        and not yet done; those that count as failed; that came again; that were given up.\n"
    "    dropped: Messages that made room for others, where nobody took them: see `on_no_consumer`.\n"
    "    participants, recoveries, sweeps: Processes that use it now; repairs after one was killed.\n\n"
    "Takes microseconds; counting itself costs nothing that could be measured.");

inline constexpr const char* class_getitem = PyDoc_STR("Queue[int], for annotations.");

}  // namespace interproc::binding::docs
