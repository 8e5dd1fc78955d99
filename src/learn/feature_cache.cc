#include "learn/feature_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

#include "base/hash.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace manako {
namespace {

// Variants of an image that are computed together.
constexpr int kTogether = 8;

std::vector<size_t> Once(const std::vector<int>& images) {
  std::vector<size_t> once(images.begin(), images.end());
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  return once;
}

// What tells an image from others, wherever it stands: a site's own store has fewer than a study's.
uint64_t KeyOf(const ImageStore& store, size_t image) {
  const auto bytes = static_cast<size_t>(store.height()) * static_cast<size_t>(store.width()) * 3;
  const Sha256Digest digest = Sha256({reinterpret_cast<const char*>(store.Pixels(image)), bytes});
  uint64_t key = 0;
  for (size_t i = 0; i < sizeof key; ++i) key = key << 8 | digest[i];
  return key;
}

}  // namespace

void FeatureSource::Write(size_t image, const Visit& visit, float* out) const {
  const float* from = nullptr;
  if (training_) {
    Random random(visit.seed, "variant", visit.epoch, visit.position);
    from = features_->Variant(
        image, static_cast<int>(random.Below(static_cast<uint64_t>(features_->variants()))));
  } else {
    from = features_->AsIs(image);
  }
  std::copy_n(from, shape().elements(), out);
}

// What an engine is given at once: variants of one image, or an image as it is.
struct FeatureCache::Job {
  size_t image;
  int first = 0, count = 0;  // variants; none: as it is
};

FeatureCache::FeatureCache(Options options, std::shared_ptr<const FrozenNetwork> network,
                           const ImageStore* store, const std::vector<int>& train,
                           const std::vector<int>& test)
    : options_(std::move(options)),
      network_(std::move(network)),
      store_(store),
      train_(Once(train)),
      test_(Once(test)) {
  const bool augment = options_.train.augment && options_.train.augmentation.Any();
  if (augment) {
    variants_ = options_.train.feature_variants;
    return;
  }
  // The only variant is the image as it is.
  std::vector<int> all = train;
  all.insert(all.end(), test.begin(), test.end());
  test_ = Once(all);
  train_.clear();
}

absl::StatusOr<std::shared_ptr<const Features>> FeatureCache::Of(const ParameterSet& model) {
  const std::lock_guard lock(mutex_);
  if (features_ != nullptr && network_->HasTrunk(model, trunk_)) return features_;
  features_ = nullptr;  // its room is the next one's, where nobody uses it any more
  trunk_ = network_->TrunkOf(model);
  MANAKO_ASSIGN_OR_RETURN(features_, Compute(trunk_));
  return features_;
}

absl::StatusOr<std::shared_ptr<const Features>> FeatureCache::Compute(
    const ParameterSet& trunk) const {
  auto features = std::make_shared<Features>();
  features->shape_ = network_->features();
  features->variants_ = variants_;
  features->as_is_.assign(store_->size(), -1);
  features->first_.assign(store_->size(), -1);
  // Those with variants first: an engine is then prepared for either kind once.
  std::vector<Job> jobs;
  int64_t slots = 0;
  for (const size_t image : train_) {
    features->first_[image] = slots;
    slots += variants_;
    for (int first = 0; first < variants_; first += kTogether)
      jobs.push_back({image, first, std::min(kTogether, variants_ - first)});
  }
  for (const size_t image : test_) {
    features->as_is_[image] = slots++;
    jobs.push_back({image});
    if (train_.empty()) features->first_[image] = features->as_is_[image];
  }
  const auto bytes = static_cast<size_t>(slots * features->shape_.elements()) * sizeof(float);
  auto memory = ScratchMemory::Create(options_.folder, bytes);
  if (memory.status().code() == absl::StatusCode::kResourceExhausted) {
    return ResourceExhausted(
        "the features of frozen layers do not fit on the disk: {}: lower train.feature_variants, "
        "freeze until a later layer, or give another folder (data.cache)",
        MessageOf(memory.status()));
  }
  MANAKO_RETURN_IF_ERROR(memory.status());
  features->memory_ = *std::move(memory);

  std::atomic<size_t> next = 0;
  const auto workers = static_cast<size_t>(std::max(1, options_.workers));
  std::vector<absl::Status> statuses(workers);
  ParallelFor(options_.workers, workers, [&](size_t worker) {
    try {
      statuses[worker] = Work(
          trunk, jobs, [&] { return next.fetch_add(1); }, *features);
    } catch (const std::bad_alloc&) {
      statuses[worker] = ResourceExhausted(
          "computing features of frozen layers: out of memory: use a smaller data.image_size or "
          "fewer --threads");
    }
  });
  network_->trunk()->FreeIdle();  // it is needed once
  for (const absl::Status& status : statuses) MANAKO_RETURN_IF_ERROR(status);
  return features;
}

absl::Status FeatureCache::Work(const ParameterSet& trunk, const std::vector<Job>& jobs,
                                const std::function<size_t()>& next, Features& features) const {
  MANAKO_ASSIGN_OR_RETURN(auto engine,
                          network_->trunk()->engines()->Borrow(EngineOptions::Of(options_.train)));
  engine->Load(trunk);
  const InputShape pixels = {store_->height(), store_->width()};
  const auto in = static_cast<size_t>(pixels.elements()),
             out = static_cast<size_t>(features.shape_.elements());
  auto* const all = static_cast<float*>(features.memory_->data());
  Batch batch;
  for (size_t i; (i = next()) < jobs.size();) {
    const Job& job = jobs[i];
    const auto count = static_cast<size_t>(std::max(1, job.count));
    batch.labels.resize(count);
    batch.inputs.resize(count * in);
    const uint64_t key = job.count > 0 ? KeyOf(*store_, job.image) : 0;
    for (size_t k = 0; k < count; ++k) {
      Augmentation augmentation;
      if (job.count > 0) {
        const uint64_t variant = static_cast<uint64_t>(job.first) + k;
        augmentation = DrawAugmentation(options_.train.augmentation,
                                        Random(options_.seed, "features", key, variant));
      }
      PrepareImage(store_->Pixels(job.image), store_->height(), store_->width(), augmentation,
                   options_.normalisation, batch.inputs.data() + k * in);
    }
    const int largest = job.count > 0 ? std::min(kTogether, variants_) : 1;
    MANAKO_ASSIGN_OR_RETURN(const std::vector<float> values,
                            engine->Outputs({&batch, pixels}, largest));
    const int64_t slot =
        job.count > 0 ? features.first_[job.image] + job.first : features.as_is_[job.image];
    std::copy_n(values.data(), count * out, all + static_cast<size_t>(slot) * out);
  }
  return absl::OkStatus();
}

}  // namespace manako
