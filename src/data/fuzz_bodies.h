// What the fuzz targets do with hostile bytes, and the corpus test does again: nothing may crash.
#ifndef MANAKO_DATA_FUZZ_BODIES_H_
#define MANAKO_DATA_FUZZ_BODIES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/csv.h"
#include "data/decode.h"
#include "data/npz.h"

namespace manako {

inline void FuzzCsv(std::string_view bytes) { (void)ParseCsv(bytes, "fuzz.csv"); }

inline void FuzzDecode(std::string_view bytes) {
  std::vector<uint8_t> rgb(32 * 32 * 3);
  DecodeImage(bytes, {32, CropMode::kAuto}, rgb.data()).IgnoreError();
}

inline void FuzzNpz(std::string_view bytes) {
  const auto npz = NpzFile::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  if (!npz.ok()) return;
  for (const std::string& name : npz->names()) (void)npz->ReadLabels(name, 1 << 20);
}

}  // namespace manako

#endif  // MANAKO_DATA_FUZZ_BODIES_H_
