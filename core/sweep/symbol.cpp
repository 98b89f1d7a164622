#include "sweep/symbol.hpp"

#include <dlfcn.h>
#include <stdio.h>

namespace interproc::sweep {

std::string symbol_at(std::uint64_t address) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(address), &info) == 0) return "an unknown instruction";
  char place[32];
  snprintf(place, sizeof place, "0x%lx", address - reinterpret_cast<std::uint64_t>(info.dli_fbase));
  std::string found = std::string(info.dli_fname) + "+" + place;
  std::string command = std::string("addr2line -ifCp -e '") + info.dli_fname + "' " + place + " 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return found;
  char line[512] = "";
  bool known = fgets(line, sizeof line, pipe) != nullptr && line[0] != '?';
  pclose(pipe);
  if (!known) return found;
  std::string name = line;
  return name.substr(0, name.find('\n')) + " (" + found + ")";
}

}  // namespace interproc::sweep
