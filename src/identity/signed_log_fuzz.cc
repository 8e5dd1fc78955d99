#include <cstddef>
#include <cstdint>

#include "identity/fuzz_bodies.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  manako::FuzzSignedLog({reinterpret_cast<const char*>(data), size});
  return 0;
}
