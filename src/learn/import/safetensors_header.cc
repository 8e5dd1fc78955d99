#include "learn/import/safetensors_header.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/status_macros.h"
#include "learn/import/checks.h"

namespace manako {
namespace {

std::optional<ScalarType> TypeNamed(std::string_view name) {
  static constexpr std::pair<std::string_view, ScalarType> kTypes[] = {
      {"BOOL", ScalarType::kBool},   {"U8", ScalarType::kUInt8},      {"I8", ScalarType::kInt8},
      {"U16", ScalarType::kUInt16},  {"I16", ScalarType::kInt16},     {"U32", ScalarType::kUInt32},
      {"I32", ScalarType::kInt32},   {"U64", ScalarType::kUInt64},    {"I64", ScalarType::kInt64},
      {"F16", ScalarType::kFloat16}, {"BF16", ScalarType::kBFloat16}, {"F32", ScalarType::kFloat32},
      {"F64", ScalarType::kFloat64},
  };
  for (const auto& [text, type] : kTypes) {
    if (text == name) return type;
  }
  return std::nullopt;
}

// Where in the header the next event belongs.
enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

// The parser's events. Each returns false, with error_ set, at what a header cannot have there.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(int max_tensors) : max_tensors_(max_tensors) {}

  absl::Status error() const { return error_; }
  bool done() const { return place_ == Place::kEnd; }
  std::vector<SafetensorsEntry> TakeEntries() { return std::move(entries_); }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a boolean"); }
  bool number_float(double, const std::string& text) override {
    return Unexpected("the number " + text);
  }
  bool number_integer(int64_t value) override {
    return Unexpected(fmt::format("the number {}", value));
  }
  bool binary(nlohmann::json::binary_t&) override { return Unexpected("binary data"); }

  bool number_unsigned(uint64_t value) override {
    if (place_ == Place::kShape) {
      if (value > INT64_MAX) return Fail("has the size {} in its shape", value);
      if (entry().shape.size() == kMaxTensorAxes)
        return Fail("has more than {} axes", kMaxTensorAxes);
      entry().shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ == Place::kOffsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry().begin : entry().end) = value;
      return true;
    }
    return Unexpected(fmt::format("the number {}", value));
  }

  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || key_ != "dtype")
      return Unexpected("the string " + Quoted(text));
    const std::optional<ScalarType> type = TypeNamed(text);
    if (!type.has_value()) return Fail("has the dtype {}, which is not supported", Quoted(text));
    entry().type = *type;
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
      return true;
    }
    if (place_ != Place::kTop) return Unexpected("an object");
    if (key_ == "__metadata__") {
      place_ = Place::kMetadata;
      return true;
    }
    if (entries_.size() >= static_cast<size_t>(std::max(max_tensors_, 0))) {
      error_ = ResourceExhausted("safetensors header: more than {} tensors", max_tensors_);
      return false;
    }
    entries_.push_back({.name = key_});
    has_type_ = has_shape_ = has_offsets_ = false;
    offsets_ = 0;
    place_ = Place::kTensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor && !(has_type_ && has_shape_ && has_offsets_ && offsets_ == 2)) {
      return Fail("lacks dtype, shape or two data_offsets");
    }
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
    } else {
      return Unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool key(std::string& text) override {
    key_ = text;
    if (place_ == Place::kTop) {
      if (!names_.insert(text).second) return Unexpected("a second " + Quoted(text));
    } else if (place_ == Place::kTensor) {
      bool* seen = text == "dtype"          ? &has_type_
                   : text == "shape"        ? &has_shape_
                   : text == "data_offsets" ? &has_offsets_
                                            : nullptr;
      if (seen == nullptr) return Fail("has the unknown field {}", Quoted(text));
      if (*seen) return Fail("has the field {} twice", Quoted(text));
      *seen = true;
    }
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    error_ = InvalidArgument("safetensors header: JSON error {} at byte {}", error.id, position);
    return false;
  }

 private:
  SafetensorsEntry& entry() { return entries_.back(); }

  bool Unexpected(const std::string& what) {
    error_ = InvalidArgument("safetensors header: {} cannot stand after {}", what,
                             key_.empty() ? "its beginning" : Quoted(key_));
    return false;
  }

  template <typename... Args>
  bool Fail(fmt::format_string<Args...> format, Args&&... args) {
    error_ = InvalidArgument("safetensors header: tensor {} {}", Quoted(entry().name),
                             fmt::format(format, std::forward<Args>(args)...));
    return false;
  }

  const int max_tensors_;
  std::vector<SafetensorsEntry> entries_;
  std::set<std::string> names_;
  std::string key_;
  Place place_ = Place::kStart;
  bool has_type_ = false, has_shape_ = false, has_offsets_ = false;
  int offsets_ = 0;
  absl::Status error_;
};

}  // namespace

absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(std::string_view json,
                                                                     int max_tensors) {
  HeaderEvents events(max_tensors);
  const bool parsed = nlohmann::json::sax_parse(json.begin(), json.end(), &events);
  MANAKO_RETURN_IF_ERROR(events.error());
  if (!parsed || !events.done()) return InvalidArgument("safetensors header: not a JSON object");
  return events.TakeEntries();
}

}  // namespace manako
