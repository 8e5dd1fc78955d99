#include "learn/networks.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/status_macros.h"
#include "learn/batch.h"
#include "learn/engine.h"
#include "learn/model.h"

namespace manako {

struct NetworkPool::Impl {
  NetworkOptions options;
  std::mutex mutex;
  std::vector<std::unique_ptr<Network>> idle;
  std::shared_ptr<const ModelSpec> spec;
  std::unique_ptr<EnginePool> engines;
  std::mutex initial_mutex;  // of what follows
  std::weak_ptr<const ParameterSet> initial;
  std::pair<uint64_t, std::string> initial_of;
  std::string initial_note;
};

NetworkPool::NetworkPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NetworkPool::~NetworkPool() = default;

absl::StatusOr<std::shared_ptr<NetworkPool>> NetworkPool::Create(const NetworkOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  MANAKO_ASSIGN_OR_RETURN(auto network, Network::Create(options));
  impl->spec = network->spec();
  impl->idle.push_back(std::move(network));
  std::shared_ptr<NetworkPool> pool(new NetworkPool(std::move(impl)));
  pool->impl_->engines = std::make_unique<EnginePool>(pool.get());
  return pool;
}

const std::shared_ptr<const ModelSpec>& NetworkPool::spec() const { return impl_->spec; }

const std::string& NetworkPool::architecture() const { return impl_->options.architecture; }

EnginePool* NetworkPool::engines() { return impl_->engines.get(); }

void NetworkPool::FreeIdle() {
  impl_->engines->FreeIdle();
  std::lock_guard lock(impl_->mutex);
  impl_->idle.clear();
}

NetworkPool::Handle::Handle(NetworkPool* pool, std::unique_ptr<Network> network)
    : pool_(pool), network_(std::move(network)) {}

NetworkPool::Handle::Handle(Handle&&) noexcept = default;

void NetworkPool::Handle::ForgetValues() { network_->ForgetValues(); }

NetworkPool::Handle::~Handle() {
  if (network_ == nullptr) return;
  std::lock_guard lock(pool_->impl_->mutex);
  pool_->impl_->idle.push_back(std::move(network_));
}

absl::StatusOr<NetworkPool::Handle> NetworkPool::Borrow() {
  {
    std::lock_guard lock(impl_->mutex);
    if (!impl_->idle.empty()) {
      auto network = std::move(impl_->idle.back());
      impl_->idle.pop_back();
      return Handle(this, std::move(network));
    }
  }
  MANAKO_ASSIGN_OR_RETURN(auto network, Network::Create(impl_->options));
  return Handle(this, std::move(network));
}

absl::StatusOr<std::shared_ptr<const ParameterSet>> NetworkPool::InitialParameters(
    uint64_t seed, const std::string& init_file, std::string* note) {
  std::lock_guard lock(impl_->initial_mutex);
  auto shared = impl_->initial.lock();
  if (shared != nullptr && impl_->initial_of == std::pair(seed, init_file)) {
    if (note != nullptr) *note = impl_->initial_note;
    return shared;
  }
  MANAKO_ASSIGN_OR_RETURN(Handle network, Borrow());
  network->Initialise(seed);
  impl_->initial_note.clear();
  if (!init_file.empty()) MANAKO_RETURN_IF_ERROR(network->Load(init_file, &impl_->initial_note));
  if (note != nullptr) *note = impl_->initial_note;
  shared = std::make_shared<const ParameterSet>(ParameterSet{spec(), network->values().Clone()});
  network->ForgetValues();
  impl_->initial = shared;
  impl_->initial_of = {seed, init_file};
  return shared;
}

absl::StatusOr<ModelFile> OpenModelFile(const std::string& path) {
  ModelFile file;
  {
    MANAKO_ASSIGN_OR_RETURN(LoadedModel loaded, LoadModel(path));
    file.classes = std::move(loaded.card.classes);
    file.image_size = loaded.card.image_size;
    file.crop = std::move(loaded.card.crop);
    for (size_t c = 0; c < 3; ++c) {
      file.normalisation.mean[c] = static_cast<float>(loaded.card.mean[c]);
      file.normalisation.std[c] = static_cast<float>(loaded.card.std[c]);
    }
  }
  MANAKO_ASSIGN_OR_RETURN(
      file.pool,
      NetworkPool::Create({path, static_cast<int>(file.classes.size()), -1, file.image_size}));
  MANAKO_ASSIGN_OR_RETURN(file.model, file.pool->InitialParameters(0, "", nullptr));
  return file;
}

absl::Status ExportModel(NetworkPool* pool, const ParameterSet& model,
                         const ExportOptions& options) {
  MANAKO_RETURN_IF_ERROR(pool->spec()->CheckSame(*model.spec));
  MANAKO_ASSIGN_OR_RETURN(NetworkPool::Handle network, pool->Borrow());
  std::ranges::copy(model.values.values(), network->values().data());
  ModelCard card;
  card.architecture = pool->architecture();
  card.classes = options.classes;
  card.image_size = options.image_size;
  card.crop = options.crop;
  const Normalisation normalisation;
  card.mean.assign(normalisation.mean.begin(), normalisation.mean.end());
  card.std.assign(normalisation.std.begin(), normalisation.std.end());
  card.origin = options.origin;
  card.digest = model.Digest();
  const absl::Status saved = SaveModel(*network, card, options.path);
  network->ForgetValues();
  return saved;
}

}  // namespace manako
