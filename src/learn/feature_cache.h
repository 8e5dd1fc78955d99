// What frozen layers make of a run's images, computed once (train.freeze).
#ifndef MANAKO_LEARN_FEATURE_CACHE_H_
#define MANAKO_LEARN_FEATURE_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/scratch_memory.h"
#include "core/image_store.h"
#include "core/parameter_set.h"
#include "core/run_config.h"
#include "learn/batch_loader.h"
#include "learn/frozen_network.h"

namespace manako {

// The features of some images of a store, by one trunk: of those to test as they are, of those to
// train on several augmented variants. Read-only, so safe to read from several threads.
class Features {
 public:
  const InputShape& shape() const { return shape_; }
  int variants() const { return variants_; }
  // shape().elements() floats. The image must be one of those that this was made for.
  const float* AsIs(size_t image) const { return At(as_is_[image]); }
  const float* Variant(size_t image, int variant) const { return At(first_[image] + variant); }

 private:
  friend class FeatureCache;
  const float* At(int64_t slot) const {
    return static_cast<const float*>(memory_->data()) + slot * shape_.elements();
  }

  InputShape shape_;
  int variants_ = 1;
  std::vector<int64_t> as_is_, first_;  // of each image of the store, its place; -1: none
  std::unique_ptr<ScratchMemory> memory_;
};

// As a network's inputs: to train, the variant that Random(seed, "variant", epoch, position) draws.
class FeatureSource : public InputSource {
 public:
  FeatureSource(std::shared_ptr<const Features> features, bool training)
      : features_(std::move(features)), training_(training) {}
  InputShape shape() const override { return features_->shape(); }
  void Write(size_t image, const Visit& visit, float* out) const override;

 private:
  std::shared_ptr<const Features> features_;
  bool training_;
};

// Computes the features of a run's images for the first model that asks, and gives them to all that
// have the same frozen values. Thread-safe.
//
// An image's features depend on its pixels, the trunk, and the options' seed, augmentation and
// number of variants alone: not on its number in the store, on other images, or on workers. Variant
// v is drawn from Random(seed, "features", the pixels' SHA-256, v).
class FeatureCache {
 public:
  struct Options {
    TrainConfig train;  // engine and precision resolved; of it also augmentation and variants
    Normalisation normalisation;
    std::string folder;  // must be there; the features lie in it, in a file without a name
    uint64_t seed = 0;   // of the variants
    int workers = 1;     // images at once
  };
  // Images are indices into the store, which must outlive this; they may repeat, and an image may
  // be in both lists.
  FeatureCache(Options options, std::shared_ptr<const FrozenNetwork> network,
               const ImageStore* store, const std::vector<int>& train,
               const std::vector<int>& test);

  const FrozenNetwork& network() const { return *network_; }
  size_t images_with_variants() const { return train_.size(); }
  size_t images_as_is() const { return test_.size(); }
  int variants() const { return variants_; }

  // The features by this model's trunk. ResourceExhausted: they do not fit on the disk (says what
  // to lower), or memory runs out.
  absl::StatusOr<std::shared_ptr<const Features>> Of(const ParameterSet& model);

 private:
  struct Job;
  absl::StatusOr<std::shared_ptr<const Features>> Compute(const ParameterSet& trunk) const;
  absl::Status Work(const ParameterSet& trunk, const std::vector<Job>& jobs,
                    const std::function<size_t()>& next, Features& features) const;

  const Options options_;
  const std::shared_ptr<const FrozenNetwork> network_;
  const ImageStore* const store_;
  int variants_ = 1;
  std::vector<size_t> train_, test_;  // in ascending order, each once
  std::mutex mutex_;                  // of what follows
  ParameterSet trunk_;                // that features_ are of
  std::shared_ptr<const Features> features_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_FEATURE_CACHE_H_
