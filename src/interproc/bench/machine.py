"""Machine: where the figures come from."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """The hardware and the software below the packages."""

    cpu: str
    usable_cores: int
    memory_bytes: int
    kernel: str
    python: str

    @property
    def text(self) -> str:
        """All of it in one line."""
        memory_gib = self.memory_bytes / 2**30
        return f"{self.cpu}, {self.usable_cores} usable cores, {memory_gib:.0f} GiB, {self.kernel}, {self.python}"


def this_machine() -> Machine:
    """Asks the system."""
    return Machine(
        cpu=_cpu(),
        usable_cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()  # ARM kernels name no model
