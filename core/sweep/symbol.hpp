// Names of addresses in this process, for people.
#pragma once

#include <cstdint>
#include <string>

namespace interproc::sweep {

// Function and line if addr2line is installed and knows them, else file and offset.
std::string symbol_at(std::uint64_t address);

}  // namespace interproc::sweep
