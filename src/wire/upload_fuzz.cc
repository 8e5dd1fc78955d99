#include <cstddef>
#include <cstdint>

#include "wire/fuzz_bodies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  manako::FuzzUpload({reinterpret_cast<const char*>(data), size});
  return 0;
}
