"""Video frames through two queues: a camera, two workers with a filter each, and a viewer.

    python examples/frames.py [fork | spawn | forkserver] [--with multiprocessing]
                              [--frames 120] [--size 1920x1080] [--sheet frames.png]

Every frame is copied once into each queue and read where it lies, so that frames a second are bounded by the work on
them. The viewer tells how many there were, and writes a contact sheet. Needs numpy and Pillow.
"""

import argparse
import time
from importlib import import_module

import numpy as np
from PIL import Image, ImageDraw

END = None
COLUMNS, ROWS = 4, 3


def film(frame_count, width, height, frames, worker_count):
    """Makes frames: a disc moves over a background that drifts by."""
    x, y = np.meshgrid(np.arange(2 * width), np.arange(height))
    turn = 2 * np.pi * x / width
    background = np.stack([128 + 90 * np.sin(turn), 128 + 90 * np.sin(turn + 2), 255 * y / height], axis=-1)
    background = background.astype(np.uint8)
    radius = height // 6
    disc = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    for number in range(frame_count):
        start = width * number // frame_count
        frame = background[:, start : start + width].copy()
        angle = 2 * np.pi * number / frame_count
        left = int((width / 2 - radius) * (1 + 0.9 * np.cos(angle)))
        top = int((height / 2 - radius) * (1 + 0.9 * np.sin(2 * angle)))
        frame[top : top + 2 * radius + 1, left : left + 2 * radius + 1][disc] = (255, 220, 40)
        frames.put((number, frame))
    for _ in range(worker_count):
        frames.put(END)


def work(name, frames, filtered):
    """Filters frames in place: what was received belongs to the receiver."""
    while (message := frames.get()) is not END:
        number, frame = message
        if name == "negative":
            np.invert(frame, out=frame)
        else:
            np.bitwise_and(frame, 0b1100_0000, out=frame)
        filtered.put((number, name, frame))
    filtered.put(END)


def view(filtered, frame_count, worker_count):
    """Takes all frames, and returns how many there were a second, and some of them, small, for the sheet."""
    wanted = {frame_count * place // (COLUMNS * ROWS) for place in range(COLUMNS * ROWS)}
    small = {}
    seen_count = 0
    started = None
    while worker_count:
        message = filtered.get()
        started = started or time.perf_counter()  # from the first frame on: starting processes does not count
        if message is END:
            worker_count -= 1
            continue
        number, name, frame = message
        seen_count += 1
        if number in wanted:
            step = max(1, frame.shape[1] // 240)
            small[number] = name, frame[::step, ::step].copy()
    return seen_count / (time.perf_counter() - started), small


def write_sheet(small, path):
    height, width = next(iter(small.values()))[1].shape[:2]
    sheet = Image.new("RGB", (COLUMNS * (width + 4), ROWS * (height + 16)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (number, (name, frame)) in enumerate(sorted(small.items())):
        left, top = place % COLUMNS * (width + 4) + 2, place // COLUMNS * (height + 16) + 14
        sheet.paste(Image.fromarray(frame), (left, top))
        pen.text((left, top - 12), f"{number}: {name}", fill="black")
    sheet.save(path)


def main():
    parser = argparse.ArgumentParser(description="Frames from a camera through two filters to a viewer.")
    parser.add_argument("method", nargs="?", choices=["fork", "spawn", "forkserver"])
    parser.add_argument("--with", dest="library", default="interproc", choices=["interproc", "multiprocessing"])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--sheet", default="frames.png")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))

    context = import_module(options.library).get_context(options.method)
    frames, filtered = context.Queue(8), context.Queue(8)
    filters = ["negative", "poster"]
    processes = [context.Process(target=film, args=(options.frames, width, height, frames, len(filters)))]
    processes += [context.Process(target=work, args=(name, frames, filtered)) for name in filters]
    for process in processes:
        process.start()
    per_second, small = view(filtered, options.frames, len(filters))
    for process in processes:
        process.join()
    write_sheet(small, options.sheet)
    print(f"{options.library}: {options.frames} frames of {width} x {height}, {per_second:.0f} a second")
    print(f"contact sheet: {len(small)} of them in {options.sheet}")


if __name__ == "__main__":
    main()
