#include "learn/import/strided.h"

#include <vector>

#include "base/status_macros.h"
#include "learn/import/convert.h"

namespace manako {
namespace {

struct Axis {
  uint64_t size, stride;
};

// The index of the view's last number in its storage; false when it does not fit in 64 bits.
bool LastIndex(uint64_t offset, const std::vector<Axis>& axes, uint64_t& last) {
  last = offset;
  for (const Axis& axis : axes) {
    uint64_t reach = 0;
    if (__builtin_mul_overflow(axis.size - 1, axis.stride, &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return false;
    }
  }
  return true;
}

bool IsRowMajor(const std::vector<Axis>& axes) {
  uint64_t expected = 1;
  for (size_t i = axes.size(); i-- > 0;) {
    if (axes[i].stride != expected) return false;
    expected *= axes[i].size;
  }
  return true;
}

// Every number of the view is known to be in bounds, and axes is not empty.
void Gather(ScalarType type, const char* first, const std::vector<Axis>& axes, float* out) {
  const uint64_t scalar_bytes = SizeOf(type);
  const Axis inner = axes.back();
  const size_t outer_axes = axes.size() - 1;
  std::vector<uint64_t> index(outer_axes, 0);
  uint64_t at = 0;
  for (;;) {
    ConvertToFloat(type, first + at * scalar_bytes, inner.stride * scalar_bytes, inner.size, out);
    out += inner.size;
    // Counts up like an odometer, the last axis first.
    size_t axis = outer_axes;
    while (axis > 0) {
      --axis;
      if (++index[axis] < axes[axis].size) {
        at += axes[axis].stride;
        break;
      }
      at -= (axes[axis].size - 1) * axes[axis].stride;
      index[axis] = 0;
      if (axis == 0) return;
    }
    if (outer_axes == 0) return;
  }
}

}  // namespace

absl::StatusOr<NamedTensor> GatherTensor(const TorchTensor& tensor, std::string_view storage,
                                         ValueBudget& budget) {
  const TorchStorage& source = tensor.storage;
  absl::StatusOr<uint64_t> count = ElementCount(tensor.shape);
  if (!count.ok()) return Annotate(count.status(), "tensor " + Quoted(tensor.name));
  NamedTensor result;
  result.name = tensor.name;
  result.shape = tensor.shape;
  result.is_integer = IsInteger(source.type);
  if (*count == 0) return result;

  // Axes of size 1 are never stepped along, so their strides may be anything.
  std::vector<Axis> axes;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 1) continue;
    axes.push_back(
        {static_cast<uint64_t>(tensor.shape[i]), static_cast<uint64_t>(tensor.strides[i])});
  }
  const uint64_t offset = static_cast<uint64_t>(tensor.offset);
  uint64_t last = 0;
  if (!LastIndex(offset, axes, last) || last >= source.view_elements) {
    return InvalidArgument("tensor {} reaches beyond the {} numbers of its storage {}",
                           Quoted(tensor.name), source.view_elements, Quoted(source.key));
  }
  MANAKO_RETURN_IF_ERROR(budget.Take(tensor.name, *count));
  result.values.resize(*count);
  const char* first = storage.data() + (source.view_offset + offset) * SizeOf(source.type);
  if (IsRowMajor(axes)) {
    ConvertToFloat(source.type, first, SizeOf(source.type), *count, result.values.data());
  } else {
    Gather(source.type, first, axes, result.values.data());
  }
  return result;
}

}  // namespace manako
