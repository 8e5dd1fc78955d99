// The JSON header of a safetensors file.
#ifndef MANAKO_LEARN_IMPORT_SAFETENSORS_HEADER_H_
#define MANAKO_LEARN_IMPORT_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/import/convert.h"

namespace manako {

// What the header says of one tensor, as yet unchecked against the data. Names are unique.
struct SafetensorsEntry {
  std::string name;
  ScalarType type = ScalarType::kFloat32;
  std::vector<int64_t> shape = {};
  uint64_t begin = 0, end = 0;  // bytes, from the end of the header
};

// Entries in the order of the text. The JSON is read as a stream of events and refused at the first
// thing that a header cannot have, so neither depth nor memory grows with what a hostile one
// contains. InvalidArgument: not such a header; ResourceExhausted: more than max_tensors.
absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(std::string_view json,
                                                                     int max_tensors);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_SAFETENSORS_HEADER_H_
