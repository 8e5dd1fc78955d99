// Finds the tensors of a state dict in a pickle that torch.save wrote.
#ifndef MANAKO_LEARN_IMPORT_TORCH_STATE_DICT_H_
#define MANAKO_LEARN_IMPORT_TORCH_STATE_DICT_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/import/convert.h"
#include "learn/import/pickle.h"
#include "learn/import/tensor_file.h"

namespace manako {

// A run of numbers that lies in the file outside the pickle, under a key. Offsets and sizes count
// numbers.
struct TorchStorage {
  std::string_view key;
  ScalarType type = ScalarType::kFloat32;
  uint64_t elements = 0;                        // of the whole storage
  uint64_t view_offset = 0, view_elements = 0;  // the part that is meant; within `elements`
};

// A tensor: numbers of a storage, spread out by strides. As the pickle has it: not yet checked
// against the storage.
struct TorchTensor {
  std::string_view name;
  TorchStorage storage = {};
  int64_t offset = 0;
  std::vector<int64_t> shape = {}, strides = {};  // as long as each other; in numbers
};

// The Python names that a state dict's pickle may contain.
std::span<const std::string_view> TorchGlobals();

// Reads a persistent id: ('storage', type, key, place, elements[, view]). InvalidArgument.
absl::StatusOr<TorchStorage> ReadTorchStorage(const Pickle& pickle, const PickleValue& value);

// The tensors of the state dict that is the pickle's root, or the root's "state_dict" or "model",
// in its order. When every name begins with "module." (which DataParallel adds) that is taken off.
// Views point into the pickle's bytes. InvalidArgument: no state dict, or something in it is no
// tensor; ResourceExhausted: more than max_tensors.
absl::StatusOr<std::vector<TorchTensor>> FindTorchTensors(const Pickle& pickle, int max_tensors);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_TORCH_STATE_DICT_H_
