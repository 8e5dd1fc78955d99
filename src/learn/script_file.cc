#include "learn/script_file.h"

#include <caffe2/serialize/inline_container.h>
#include <sys/stat.h>
#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <string_view>
#include <vector>

#include "base/status_macros.h"

namespace manako {
namespace {

using caffe2::serialize::PyTorchStreamReader;

constexpr size_t kMaxCardBytes = size_t{1} << 20;

// libtorch's reader recognises several other formats; only a zip archive goes through the checks
// below.
bool StartsLikeZip(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  char magic[4] = {};
  const bool whole = std::fread(magic, 1, sizeof magic, file) == sizeof magic;
  std::fclose(file);
  return whole && std::string_view(magic, sizeof magic) == std::string_view("PK\x03\x04", 4);
}

bool IsCode(const std::string& record) { return record.rfind("code/", 0) == 0; }

// Code that runs while the file is being loaded would run before CheckOperators sees it.
absl::Status CheckNoCodeAtLoad(const std::string& path) {
  PyTorchStreamReader reader(path);
  for (const std::string& record : reader.getAllRecords()) {
    if (!IsCode(record)) continue;
    const auto [data, size] = reader.getRecord(record);
    const std::string_view text(static_cast<const char*>(data.get()), size);
    if (text.find("__setstate__") != std::string_view::npos) {
      return InvalidArgument(
          "{}: {} has a __setstate__, which would run while loading: not allowed", path, record);
    }
  }
  return absl::OkStatus();
}

// A damaged or malicious file can give a tensor more elements than its storage holds.
absl::Status CheckTensor(const at::Tensor& tensor) {
  if (!tensor.defined()) return absl::OkStatus();
  if (tensor.layout() != at::kStrided || !tensor.device().is_cpu() || tensor.is_quantized()) {
    return InvalidArgument("a tensor is sparse, quantised or not in main memory");
  }
  int64_t last = tensor.storage_offset();
  bool bad = last < 0;
  for (int64_t d = 0; d < tensor.dim() && !bad; ++d) {
    const int64_t extent = tensor.size(d), stride = tensor.stride(d);
    if (extent == 0) return absl::OkStatus();
    int64_t reach = 0;
    bad = extent < 0 || stride < 0 || __builtin_mul_overflow(extent - 1, stride, &reach) ||
          __builtin_add_overflow(last, reach, &last);
  }
  const uint64_t held = tensor.storage().nbytes() / tensor.element_size();
  if (bad || static_cast<uint64_t>(last) >= held) {
    return InvalidArgument("a tensor reaches beyond its storage of {} elements", held);
  }
  return absl::OkStatus();
}

absl::Status CheckValues(const torch::jit::Module& module) {
  absl::Status status;
  std::set<const void*> seen;  // values may refer to each other in a circle
  c10::IValue(module._ivalue()).visit([&](const c10::IValue& value) {
    if (value.isTensor()) {
      status.Update(CheckTensor(value.toTensor()));
    } else if (value.isPtrType() && !value.isString()) {
      return !seen.insert(value.internalToPointer()).second;
    }
    return false;
  });
  return status;
}

absl::Status CheckNode(const torch::jit::Node& node) {
  static const std::set<std::string> kRefused = {"aten::save", "aten::from_file", "prim::PythonOp"};
  const std::string kind = node.kind().toQualString();
  if ((!node.kind().is_aten() && !node.kind().is_prim()) || kRefused.contains(kind)) {
    return InvalidArgument("the operator {} is not allowed in a model", kind);
  }
  for (const c10::Symbol name : node.attributeNames()) {
    if (node.kindOf(name) == torch::jit::AttributeKind::t) {
      MANAKO_RETURN_IF_ERROR(CheckTensor(node.t(name)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOperators(const torch::jit::Module& module) {
  for (torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    const torch::jit::GraphFunction* with_graph = torch::jit::tryToGraphFunction(*function);
    if (with_graph == nullptr) continue;
    std::vector<const torch::jit::Block*> blocks = {with_graph->graph()->block()};
    while (!blocks.empty()) {
      const torch::jit::Block* block = blocks.back();
      blocks.pop_back();
      for (const torch::jit::Node* node : block->nodes()) {
        MANAKO_RETURN_IF_ERROR(CheckNode(*node));
        for (const torch::jit::Block* inner : node->blocks()) blocks.push_back(inner);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string OneLine(const std::exception& error) {
  const auto* const of_torch = dynamic_cast<const c10::Error*>(&error);
  const std::string text = of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  // The interpreter's message is a stack of script lines that ends with what went wrong.
  const size_t last = text.rfind("Error: ");
  size_t begin = std::min(text.find_first_not_of('\n'), text.size());
  if (last != std::string::npos && text.find('\n') < last) begin = last + 7;
  return text.substr(begin, text.find('\n', begin) - begin);
}

bool IsScriptFile(const std::string& path) {
  if (!StartsLikeZip(path)) return false;
  try {
    PyTorchStreamReader reader(path);
    const std::vector<std::string> records = reader.getAllRecords();
    return std::any_of(records.begin(), records.end(), IsCode);
  } catch (const std::exception&) {
    return false;
  }
}

absl::StatusOr<ScriptFile> ReadScriptFile(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return NotFound("there is no file {}", path);
  if (!IsScriptFile(path)) {
    return InvalidArgument("{} is no TorchScript file (save one with torch.jit.save)", path);
  }
  try {
    MANAKO_RETURN_IF_ERROR(CheckNoCodeAtLoad(path));
    ScriptFile file;
    torch::jit::ExtraFilesMap extra = {{kCardFile, ""}};
    file.module = torch::jit::load(path, c10::Device(c10::kCPU), extra);
    if (extra[kCardFile].size() > kMaxCardBytes) {
      return InvalidArgument("{}: {} is larger than {} bytes", path, kCardFile, kMaxCardBytes);
    }
    file.card = std::move(extra[kCardFile]);
    MANAKO_RETURN_IF_ERROR(Annotate(CheckOperators(file.module), path));
    MANAKO_RETURN_IF_ERROR(Annotate(CheckValues(file.module), path));
    return file;
  } catch (const std::exception& error) {
    return InvalidArgument("{} is a damaged TorchScript file, or one of a newer libtorch: {}", path,
                           OneLine(error));
  }
}

}  // namespace manako
