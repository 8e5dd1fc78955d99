#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto npz = manako::NpzFile::Parse({data, size});
  if (!npz.ok()) return 0;
  for (const std::string& name : npz->names()) (void)npz->ReadLabels(name, 1 << 20);
  return 0;
}
