#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> rgb(32 * 32 * 3);
  manako::DecodeImage({reinterpret_cast<const char*>(data), size}, {32, manako::CropMode::kAuto},
                      rgb.data())
      .IgnoreError();
  return 0;
}
