// A training between two rounds, as a file.
#ifndef MANAKO_CORE_CHECKPOINT_H_
#define MANAKO_CORE_CHECKPOINT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameter_set.h"

namespace manako {

// Small things as JSON, arrays as they are. On disk: "manako checkpoint 1\n", the length of the
// JSON (8 bytes, little endian), the JSON (with each array's name and size added), the arrays'
// bytes, and the SHA-256 of all before (32 bytes).
struct Checkpoint {
  nlohmann::json values = nlohmann::json::object();
  std::vector<NamedArray> arrays;
};

// Atomic.
absl::Status SaveCheckpoint(const Checkpoint& checkpoint, const std::string& path);
// NotFound: no such file. DataLoss: damaged (says how); the caller starts anew.
absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& path);

}  // namespace manako

#endif  // MANAKO_CORE_CHECKPOINT_H_
