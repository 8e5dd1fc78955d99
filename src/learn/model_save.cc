// SaveModel and LoadModel: a network and its card in one TorchScript file.
#include <torch/csrc/jit/serialization/export.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/status_macros.h"
#include "learn/model.h"
#include "learn/script_file.h"

namespace manako {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kCardVersion = 1;
constexpr int kMaxClasses = 100000;
constexpr int kMaxImageSize = 16384;

std::string ToJson(const ModelCard& card) {
  const Json json = {{"manako_model", kCardVersion},
                     {"architecture", card.architecture},
                     {"classes", card.classes},
                     {"image_size", card.image_size},
                     {"crop", card.crop},
                     {"mean", card.mean},
                     {"std", card.std},
                     {"origin", card.origin},
                     {"digest", card.digest}};
  return json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

// Three finite numbers; `positive`: above 0.
bool IsColour(const Json& json, bool positive) {
  if (!json.is_array() || json.size() != 3) return false;
  for (const Json& value : json) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) return false;
    if (positive && value.get<double>() <= 0) return false;
  }
  return true;
}

absl::StatusOr<ModelCard> FromJson(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidArgument("{} is no JSON object", kCardFile);
  const auto field = [&](const char* name) { return json.value(name, Json()); };
  const auto refuse = [](const char* name, const char* rule) {
    return InvalidArgument("{} in {} must be {}", name, kCardFile, rule);
  };
  if (field("manako_model") != kCardVersion) return refuse("manako_model", "1");
  ModelCard card;
  const std::pair<const char*, std::string*> texts[] = {{"architecture", &card.architecture},
                                                        {"crop", &card.crop},
                                                        {"origin", &card.origin},
                                                        {"digest", &card.digest}};
  for (const auto& [name, value] : texts) {
    if (!field(name).is_string()) return refuse(name, "a string");
    *value = field(name).get<std::string>();
  }
  const Json classes = field("classes");
  if (!classes.is_array() || classes.size() < 2 || classes.size() > kMaxClasses) {
    return refuse("classes", "2 or more names");
  }
  for (const Json& name : classes) {
    if (!name.is_string()) return refuse("classes", "2 or more names");
    card.classes.push_back(name.get<std::string>());
  }
  const Json size = field("image_size");
  if (!size.is_number_integer() || size < 1 || size > kMaxImageSize) {
    return refuse("image_size", "an integer from 1 to 16384");
  }
  card.image_size = size.get<int>();
  if (!IsColour(field("mean"), false)) return refuse("mean", "three numbers");
  if (!IsColour(field("std"), true)) return refuse("std", "three numbers > 0");
  card.mean = field("mean").get<std::vector<double>>();
  card.std = field("std").get<std::vector<double>>();
  return card;
}

// ParameterSet's digest, without a copy of the values.
std::string DigestOf(const std::shared_ptr<const ModelSpec>& spec, FlatArray& values) {
  ParameterSet borrowed = {spec, std::move(values)};
  std::string digest = borrowed.Digest();
  values = std::move(borrowed.values);
  return digest;
}

}  // namespace

absl::Status SaveModel(Network& network, const ModelCard& card, const std::string& path) {
  ModelCard stamped = card;
  stamped.digest = DigestOf(network.spec_, network.values_);
  MANAKO_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> file,
                          AtomicFileWriter::Create(path));
  absl::Status written;
  const auto write = [&](const void* data, size_t size) {
    // A failed write is told below: libtorch's archive writer throws in its destructor, which ends
    // the program.
    if (written.ok()) written = file->Append(data, size);
    return size;
  };
  const bool was_training = network.training_;
  network.SetTraining(false);
  absl::Status saved;
  try {
    torch::jit::ExportModule(network.module_, write, {{kCardFile, ToJson(stamped)}});
  } catch (const std::exception& error) {
    saved = Internal("saving {}: {}", path, OneLine(error));
  }
  network.SetTraining(was_training);
  MANAKO_RETURN_IF_ERROR(written);
  MANAKO_RETURN_IF_ERROR(saved);
  return file->Commit();
}

absl::StatusOr<LoadedModel> LoadModel(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(ScriptFile file, ReadScriptFile(path));
  if (file.card.empty()) {
    return InvalidArgument("{} has no {}: it was not saved by Manako", path, kCardFile);
  }
  absl::StatusOr<ModelCard> card = FromJson(file.card);
  if (!card.ok()) return Annotate(card.status(), path);
  MANAKO_ASSIGN_OR_RETURN(
      std::unique_ptr<Network> network,
      Network::FromModule(std::move(file.module), path, static_cast<int>(card->classes.size()),
                          {card->image_size}));
  const std::string digest = DigestOf(network->spec_, network->values_);
  if (digest != card->digest) {
    return DataLoss(
        "{}: the parameters have the digest {}, but the card says {}: the file was changed", path,
        digest, card->digest);
  }
  return LoadedModel{std::move(network), *std::move(card)};
}

}  // namespace manako
