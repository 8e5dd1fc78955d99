// Fuzzes the reading of files that other programs wrote: no bytes may crash it, and what it accepts
// must be whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "learn/import/tensor_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto tensors = manako::ReadTensorBytes(bytes);
  if (!tensors.ok()) return 0;
  for (const manako::NamedTensor& tensor : *tensors) {
    size_t count = 1;
    for (const int64_t axis : tensor.shape) count *= static_cast<size_t>(axis);
    if (count != tensor.values.size()) std::abort();
  }
  return 0;
}
