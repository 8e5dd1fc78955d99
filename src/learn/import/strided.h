// Reads a strided view of a storage as a row-major array of float32.
#ifndef MANAKO_LEARN_IMPORT_STRIDED_H_
#define MANAKO_LEARN_IMPORT_STRIDED_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "learn/import/checks.h"
#include "learn/import/tensor_file.h"
#include "learn/import/torch_state_dict.h"

namespace manako {

// `storage` has the bytes of the whole storage that the tensor names: exactly
// tensor.storage.elements numbers. The view may be transposed, have gaps, or repeat numbers (stride
// 0), but no number of it lies outside the storage's. InvalidArgument: it would; ResourceExhausted:
// beyond the budget.
absl::StatusOr<NamedTensor> GatherTensor(const TorchTensor& tensor, std::string_view storage,
                                         ValueBudget& budget);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_STRIDED_H_
