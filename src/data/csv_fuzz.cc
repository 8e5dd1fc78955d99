#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)manako::ParseCsv({reinterpret_cast<const char*>(data), size}, "fuzz.csv");
  return 0;
}
