#include "learn/import/torch_pickle.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "base/status_macros.h"
#include "learn/import/byte_reader.h"
#include "learn/import/checks.h"
#include "learn/import/convert.h"
#include "learn/import/pickle.h"
#include "learn/import/strided.h"
#include "learn/import/torch_state_dict.h"
#include "learn/import/zip_archive.h"

namespace manako {
namespace {

// 0x1950a86a20f9469cfc6c, as protocols 2 and up and as protocol 1 write it.
constexpr std::string_view kMagicBytes("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::string_view kMagicDigits = "119547037146038801333356";
constexpr int64_t kLegacyProtocol = 1001;
constexpr size_t kPreludeValues = 1000;  // in each of the small pickles around the object

// A tensor takes about 25 values; optimisers and histories may stand beside the state dict.
PickleOptions OptionsFor(const TensorFileLimits& limits) {
  const uint64_t max_values = 1000 + 64 * static_cast<uint64_t>(std::max(limits.max_tensors, 0));
  return {.globals = TorchGlobals(),
          .max_values = static_cast<size_t>(std::min<uint64_t>(max_values, UINT32_MAX - 1))};
}

using Storages = std::map<std::string_view, std::string_view>;  // bytes by key

absl::StatusOr<std::vector<NamedTensor>> GatherAll(const std::vector<TorchTensor>& tensors,
                                                   const Storages& storages,
                                                   const TensorFileLimits& limits,
                                                   uint64_t file_bytes) {
  ValueBudget budget(limits, file_bytes);
  std::vector<NamedTensor> result;
  result.reserve(tensors.size());
  for (const TorchTensor& tensor : tensors) {
    const TorchStorage& storage = tensor.storage;
    const auto found = storages.find(storage.key);
    if (found == storages.end()) {
      return InvalidArgument("tensor {} has its numbers in storage {}, which is not in the file",
                             Quoted(tensor.name), Quoted(storage.key));
    }
    const uint64_t scalar_bytes = SizeOf(storage.type);
    const uint64_t bytes = found->second.size();
    if (bytes % scalar_bytes != 0 || bytes / scalar_bytes != storage.elements) {
      return InvalidArgument(
          "tensor {}: its storage {} should have {} numbers of {} bytes, but has "
          "{} bytes",
          Quoted(tensor.name), Quoted(storage.key), storage.elements, scalar_bytes, bytes);
    }
    MANAKO_ASSIGN_OR_RETURN(NamedTensor gathered, GatherTensor(tensor, found->second, budget));
    result.push_back(std::move(gathered));
  }
  return result;
}

// The folder in which everything of the archive lies, and that has `data.pkl`.
absl::StatusOr<std::string_view> FindFolder(const ZipArchive& archive) {
  constexpr std::string_view kPickleName = "/data.pkl";
  std::optional<std::string_view> folder;
  for (const auto& [name, entry] : archive.entries()) {
    const size_t slash = name.find('/');
    if (slash == std::string_view::npos) continue;
    const std::string_view inside = name.substr(slash);
    if (inside == "/constants.pkl" || inside.starts_with("/code/")) {
      return FailedPrecondition("this is a TorchScript file (it has {}), not a state dict",
                                Quoted(name));
    }
    if (inside != kPickleName) continue;
    if (folder.has_value()) return InvalidArgument("zip: two folders have a data.pkl");
    folder = name.substr(0, slash);
  }
  if (!folder.has_value()) {
    return InvalidArgument("zip: there is no data.pkl in it, so torch.save did not write it");
  }
  return *folder;
}

// The values of the legacy format's three first pickles.
absl::Status ReadPrelude(ByteReader& reader) {
  const PickleOptions options = {.max_values = kPreludeValues};
  MANAKO_ASSIGN_OR_RETURN(const Pickle magic, Pickle::Read(reader, options));
  if (magic.root().kind != PickleValue::Kind::kBigInt ||
      (magic.root().text != kMagicBytes && magic.root().text != kMagicDigits)) {
    return InvalidArgument("torch.save, legacy format: the magic number is wrong");
  }
  MANAKO_ASSIGN_OR_RETURN(const Pickle protocol, Pickle::Read(reader, options));
  if (protocol.root().kind != PickleValue::Kind::kInt ||
      protocol.root().integer != kLegacyProtocol) {
    return InvalidArgument("torch.save, legacy format: the protocol is {}, but should be {}",
                           protocol.root().integer, kLegacyProtocol);
  }
  MANAKO_ASSIGN_OR_RETURN(const Pickle system, Pickle::Read(reader, options));
  if (system.root().kind != PickleValue::Kind::kDict) {
    return InvalidArgument("torch.save, legacy format: no description of the writer's system");
  }
  const std::span<const PickleId> items = system.items(system.root());
  for (size_t i = 0; i < items.size(); i += 2) {
    if (system.at(items[i]).text != "little_endian") continue;
    if (system.at(items[i + 1]).integer != 1) {
      return InvalidArgument(
          "torch.save, legacy format: a big-endian machine wrote the file, which "
          "is not supported");
    }
    return absl::OkStatus();
  }
  return InvalidArgument("torch.save, legacy format: the byte order is not given");
}

// All storages that the pickle mentions, by key. Those of an optimiser must be known to be passed
// over.
absl::StatusOr<std::map<std::string_view, TorchStorage>> MentionedStorages(const Pickle& pickle) {
  std::map<std::string_view, TorchStorage> mentioned;
  for (const PickleValue& value : pickle.values()) {
    if (value.kind != PickleValue::Kind::kPersistent) continue;
    MANAKO_ASSIGN_OR_RETURN(const TorchStorage storage, ReadTorchStorage(pickle, value));
    const auto [place, added] = mentioned.emplace(storage.key, storage);
    if (!added &&
        (place->second.type != storage.type || place->second.elements != storage.elements)) {
      return InvalidArgument("torch.save, legacy format: storage {} has two types or sizes",
                             Quoted(storage.key));
    }
  }
  return mentioned;
}

absl::StatusOr<std::string_view> ReadLegacyStorage(ByteReader& reader,
                                                   const TorchStorage& storage) {
  uint64_t elements = 0;
  std::string_view bytes;
  if (!reader.Take(elements) || elements != storage.elements) {
    return InvalidArgument(
        "torch.save, legacy format: storage {} does not begin with its {} "
        "elements (byte {})",
        Quoted(storage.key), storage.elements, reader.position());
  }
  if (elements > reader.remaining() / SizeOf(storage.type)) {
    return InvalidArgument(
        "torch.save, legacy format: storage {} should have {} elements of {} "
        "bytes, but {} bytes are left",
        Quoted(storage.key), elements, SizeOf(storage.type), reader.remaining());
  }
  reader.Take(elements * SizeOf(storage.type), bytes);
  return bytes;
}

}  // namespace

bool LooksLikeZip(std::string_view bytes) {
  return bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06");
}

bool LooksLikeTorchLegacy(std::string_view bytes) {
  // PROTO and LONG1, or protocol 1's decimal digits.
  return bytes.substr(0, 32).find(kMagicBytes) != std::string_view::npos ||
         bytes.substr(0, 32).find(kMagicDigits) != std::string_view::npos;
}

absl::StatusOr<std::vector<NamedTensor>> ReadTorchZip(std::string_view bytes,
                                                      const TensorFileLimits& limits) {
  const uint64_t max_entries = 1000 + 4 * static_cast<uint64_t>(std::max(limits.max_tensors, 0));
  MANAKO_ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(bytes, max_entries));
  MANAKO_ASSIGN_OR_RETURN(const std::string_view folder, FindFolder(archive));
  const std::string prefix = std::string(folder) + "/";
  if (archive.entries().contains(prefix + "byteorder")) {
    MANAKO_ASSIGN_OR_RETURN(const std::string_view order, archive.Read(prefix + "byteorder"));
    if (order != "little") {
      return InvalidArgument("torch.save: the byte order is {}, but only \"little\" is supported",
                             Quoted(order));
    }
  }
  MANAKO_ASSIGN_OR_RETURN(const std::string_view program, archive.Read(prefix + "data.pkl"));
  ByteReader reader(program);
  MANAKO_ASSIGN_OR_RETURN(const Pickle pickle, Pickle::Read(reader, OptionsFor(limits)));
  MANAKO_ASSIGN_OR_RETURN(const std::vector<TorchTensor> tensors,
                          FindTorchTensors(pickle, limits.max_tensors));
  Storages storages;
  for (const TorchTensor& tensor : tensors) {
    const std::string_view key = tensor.storage.key;
    // Once each, however many tensors share it: reading computes a checksum.
    const std::string name = fmt::format("{}data/{}", prefix, key);
    if (storages.contains(key) || !archive.entries().contains(name)) continue;
    MANAKO_ASSIGN_OR_RETURN(storages[key], archive.Read(name));
  }
  return GatherAll(tensors, storages, limits, bytes.size());
}

absl::StatusOr<std::vector<NamedTensor>> ReadTorchLegacy(std::string_view bytes,
                                                         const TensorFileLimits& limits) {
  ByteReader reader(bytes);
  MANAKO_RETURN_IF_ERROR(ReadPrelude(reader));
  const PickleOptions options = OptionsFor(limits);
  MANAKO_ASSIGN_OR_RETURN(const Pickle pickle, Pickle::Read(reader, options));
  MANAKO_ASSIGN_OR_RETURN(const std::vector<TorchTensor> tensors,
                          FindTorchTensors(pickle, limits.max_tensors));
  MANAKO_ASSIGN_OR_RETURN(const auto mentioned, MentionedStorages(pickle));
  MANAKO_ASSIGN_OR_RETURN(const Pickle keys, Pickle::Read(reader, options));
  if (keys.root().kind != PickleValue::Kind::kList) {
    return InvalidArgument("torch.save, legacy format: no list of storages follows the object");
  }
  Storages storages;
  for (const PickleId id : keys.items(keys.root())) {
    const auto found = mentioned.find(keys.at(id).text);
    if (found == mentioned.end() || storages.contains(found->first)) {
      return InvalidArgument("torch.save, legacy format: storage {} is listed twice or not used",
                             Quoted(keys.at(id).text));
    }
    MANAKO_ASSIGN_OR_RETURN(storages[found->first], ReadLegacyStorage(reader, found->second));
  }
  if (reader.remaining() != 0) {
    return InvalidArgument("torch.save, legacy format: {} bytes follow the last storage",
                           reader.remaining());
  }
  return GatherAll(tensors, storages, limits, bytes.size());
}

}  // namespace manako
