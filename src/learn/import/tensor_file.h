// Reads trained parameters from files that other programs wrote, without running anything that is
// in them.
#ifndef MANAKO_LEARN_IMPORT_TENSOR_FILE_H_
#define MANAKO_LEARN_IMPORT_TENSOR_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

// One tensor of a file, converted to float32 (from float16, bfloat16, float32 or float64). Integer
// tensors (num_batches_tracked) keep their name and shape but have `is_integer` set and their
// values converted as well.
struct NamedTensor {
  std::string name;            // as in the file, e.g. "layer1.0.conv1.weight"
  std::vector<int64_t> shape;  // empty for a scalar
  std::vector<float> values;   // row-major; as many as the shape's product
  bool is_integer = false;
};

struct TensorFileLimits {
  uint64_t max_bytes = uint64_t{4} << 30;  // of the file, and of all tensors together
  int max_tensors = 100000;
};

// Reads safetensors, or a state dict saved by torch.save (the zip format and the legacy one, plain
// or inside a dictionary under "state_dict" or "model"; a leading "module." is removed when every
// name has it), recognised by content. The order is the file's. The pickle inside is interpreted by
// a machine that knows dictionaries, tuples, strings, numbers, OrderedDict and tensor rebuilding
// and refuses everything else by name: a file cannot run code. Memory is bounded by the file: the
// values take at most 64 times its bytes (views may repeat them). InvalidArgument: not such a file,
// or damaged (says where); FailedPrecondition: a TorchScript module, which is read elsewhere;
// ResourceExhausted: beyond the limits; NotFound: no file.
absl::StatusOr<std::vector<NamedTensor>> ReadTensorFile(const std::string& path,
                                                        const TensorFileLimits& limits = {});

// The same from memory, for tests and fuzzing.
absl::StatusOr<std::vector<NamedTensor>> ReadTensorBytes(const std::string& bytes,
                                                         const TensorFileLimits& limits = {});

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_TENSOR_FILE_H_
