#include "core/checkpoint.h"

#include <cstring>
#include <utility>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace manako {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic = "manako checkpoint 1\n";
constexpr size_t kDigestSize = sizeof(Sha256Digest);

}  // namespace

absl::Status SaveCheckpoint(const Checkpoint& checkpoint, const std::string& path) {
  json header = checkpoint.values;
  header["arrays"] = json::array();
  for (const NamedArray& array : checkpoint.arrays) {
    header["arrays"].push_back({{"name", array.name}, {"size", array.values.size()}});
  }
  const std::string text = header.dump();
  const uint64_t length = text.size();
  std::string head(kMagic);
  head.append(reinterpret_cast<const char*>(&length), sizeof length);
  head += text;
  Sha256Hasher hasher;
  hasher.Add(head);
  MANAKO_ASSIGN_OR_RETURN(auto writer, AtomicFileWriter::Create(path));
  MANAKO_RETURN_IF_ERROR(writer->Append(head));
  for (const NamedArray& array : checkpoint.arrays) {
    const size_t bytes = static_cast<size_t>(array.values.size()) * sizeof(float);
    hasher.Add(array.values.data(), bytes);
    MANAKO_RETURN_IF_ERROR(writer->Append(array.values.data(), bytes));
  }
  const Sha256Digest digest = hasher.Finish();
  MANAKO_RETURN_IF_ERROR(writer->Append(digest.data(), digest.size()));
  return writer->Commit();
}

absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(auto file, MappedFile::Open(path));
  const auto bytes = file->bytes();
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto damaged = [&](const char* what) { return DataLoss("{} is damaged ({})", path, what); };
  uint64_t length;
  if (all.size() < kMagic.size() + sizeof length + kDigestSize || !all.starts_with(kMagic))
    return damaged("its head");
  const std::string_view content = all.substr(0, all.size() - kDigestSize);
  const Sha256Digest digest = Sha256(content);
  if (std::memcmp(digest.data(), all.data() + content.size(), kDigestSize) != 0)
    return damaged("its checksum");
  std::memcpy(&length, content.data() + kMagic.size(), sizeof length);
  std::string_view rest = content.substr(kMagic.size() + sizeof length);
  if (length > rest.size()) return damaged("its length");
  Checkpoint checkpoint;
  checkpoint.values = json::parse(rest.substr(0, length), nullptr, false);
  rest.remove_prefix(length);
  if (!checkpoint.values.is_object() || !checkpoint.values.contains("arrays") ||
      !checkpoint.values["arrays"].is_array()) {
    return damaged("its header");
  }
  for (const json& entry : checkpoint.values["arrays"]) {
    if (!entry.is_object() || !entry.value("name", json()).is_string() ||
        !entry.value("size", json()).is_number_unsigned()) {
      return damaged("its list of arrays");
    }
    const auto size = entry["size"].get<uint64_t>();
    if (size > rest.size() / sizeof(float)) return damaged("an array's size");
    FlatArray values(static_cast<int64_t>(size));
    if (size > 0) std::memcpy(values.data(), rest.data(), size * sizeof(float));
    rest.remove_prefix(size * sizeof(float));
    checkpoint.arrays.push_back({entry["name"].get<std::string>(), std::move(values)});
  }
  checkpoint.values.erase("arrays");
  return checkpoint;
}

}  // namespace manako
