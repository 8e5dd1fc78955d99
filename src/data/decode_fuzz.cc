#include "data/fuzz_bodies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  manako::FuzzDecode({reinterpret_cast<const char*>(data), size});
  return 0;
}
