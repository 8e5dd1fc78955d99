// State dicts that torch.save wrote, in either of its formats.
// Source: PyTorch 1.13, torch/serialization.py (_save, _load; _legacy_save, _legacy_load) and
// caffe2/serialize/inline_container.h (the zip file).
#ifndef MANAKO_LEARN_IMPORT_TORCH_PICKLE_H_
#define MANAKO_LEARN_IMPORT_TORCH_PICKLE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/import/tensor_file.h"

namespace manako {

// True when the bytes begin as a zip file, or as the legacy format, does. Says nothing of the rest.
bool LooksLikeZip(std::string_view bytes);
bool LooksLikeTorchLegacy(std::string_view bytes);

// The zip format, PyTorch 1.6 and later: NAME/data.pkl and one entry NAME/data/KEY for each
// storage. FailedPrecondition: the archive is a TorchScript module. Else as ReadTensorBytes.
absl::StatusOr<std::vector<NamedTensor>> ReadTorchZip(std::string_view bytes,
                                                      const TensorFileLimits& limits);

// The legacy format: five pickles (a magic number, the protocol, the writer's system, the object,
// the storages' keys), then for each key the number of elements (u64) and the numbers.
absl::StatusOr<std::vector<NamedTensor>> ReadTorchLegacy(std::string_view bytes,
                                                         const TensorFileLimits& limits);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_TORCH_PICKLE_H_
