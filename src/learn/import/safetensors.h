// The safetensors format: a u64 little-endian header length, a JSON header, then the tensors'
// bytes. Source: github.com/huggingface/safetensors, README, "Format".
#ifndef MANAKO_LEARN_IMPORT_SAFETENSORS_H_
#define MANAKO_LEARN_IMPORT_SAFETENSORS_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/import/tensor_file.h"

namespace manako {

// True when the bytes begin as a safetensors file does. Says nothing of the rest.
bool LooksLikeSafetensors(std::string_view bytes);

// The tensors in the header's order. As the format demands, they must cover the data without gap or
// overlap; the header may be 100 MB long. "__metadata__" is passed over. InvalidArgument or
// ResourceExhausted, as in ReadTensorBytes.
absl::StatusOr<std::vector<NamedTensor>> ReadSafetensors(std::string_view bytes,
                                                         const TensorFileLimits& limits);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_SAFETENSORS_H_
