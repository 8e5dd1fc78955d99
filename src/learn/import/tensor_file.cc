#include "learn/import/tensor_file.h"

#include <string_view>

#include "base/files.h"
#include "base/status_macros.h"
#include "learn/import/safetensors.h"
#include "learn/import/torch_pickle.h"

namespace manako {

absl::StatusOr<std::vector<NamedTensor>> ReadTensorFile(const std::string& path,
                                                        const TensorFileLimits& limits) {
  MANAKO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits.max_bytes));
  absl::StatusOr<std::vector<NamedTensor>> tensors = ReadTensorBytes(bytes, limits);
  if (!tensors.ok()) return Annotate(tensors.status(), path);
  return tensors;
}

absl::StatusOr<std::vector<NamedTensor>> ReadTensorBytes(const std::string& bytes,
                                                         const TensorFileLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return ResourceExhausted("the file has {} bytes, but {} is the limit", bytes.size(),
                             limits.max_bytes);
  }
  if (LooksLikeZip(bytes)) return ReadTorchZip(bytes, limits);
  if (LooksLikeTorchLegacy(bytes)) return ReadTorchLegacy(bytes, limits);
  if (LooksLikeSafetensors(bytes)) return ReadSafetensors(bytes, limits);
  return InvalidArgument(
      "neither safetensors nor a state dict that torch.save wrote (the {} bytes begin as neither)",
      bytes.size());
}

}  // namespace manako
