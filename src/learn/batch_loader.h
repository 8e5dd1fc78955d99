// Prepares the batches of one round ahead of the training that uses them.
#ifndef MANAKO_LEARN_BATCH_LOADER_H_
#define MANAKO_LEARN_BATCH_LOADER_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/image_store.h"
#include "core/run_config.h"
#include "learn/batch.h"

namespace manako {

struct BatchPlan {
  int epochs = 1;
  int batches_per_epoch =
      1;           // every image once an epoch, in batches of sizes that differ by one at the most
  int limit = -1;  // >= 0: no more batches than this in all
  bool shuffle = true;
  uint64_t seed = 0;  // of this site and round
};

// One visit of an image: what the random decisions about it are named by.
struct Visit {
  uint64_t seed = 0;                 // the plan's
  uint64_t epoch = 0, position = 0;  // in the epoch's order
};

// What the network is given for an image of the store: its pixels, or features computed before.
// Thread-safe.
class InputSource {
 public:
  virtual ~InputSource() = default;
  virtual InputShape shape() const = 0;
  // Writes shape().elements() floats.
  virtual void Write(size_t image, const Visit& visit, float* out) const = 0;
};

// Pixels, normalised, and augmented by Random(seed, "augment", epoch, position) where
// `augmentation` is given.
class PixelSource : public InputSource {
 public:
  PixelSource(const ImageStore* store, const Normalisation& normalisation,
              std::optional<AugmentConfig> augmentation = std::nullopt)
      : store_(store), normalisation_(normalisation), augmentation_(augmentation) {}
  InputShape shape() const override { return {store_->height(), store_->width()}; }
  void Write(size_t image, const Visit& visit, float* out) const override;

 private:
  const ImageStore* store_;
  Normalisation normalisation_;
  std::optional<AugmentConfig> augmentation_;
};

// A prepared batch: inputs of one shape, one behind the other.
struct Batch {
  std::vector<float> inputs;
  std::vector<int64_t> labels;
};

// Yields the plan's batches in order. Their content depends on plan and source alone: the order of
// an epoch comes from Random(seed, "order", epoch). A background thread works `ahead` batches ahead
// (0: none, batches are made when asked for).
class BatchLoader {
 public:
  // Examples and source must outlive the loader.
  BatchLoader(const Examples& examples, const BatchPlan& plan, const InputSource& source,
              int ahead);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  int size() const { return total_; }  // batches in all
  // The next batch in `batch`, whose old memory is used again; false behind the last.
  bool Next(Batch& batch);

 private:
  void Make(int index, Batch& batch);
  void Work();

  const Examples& examples_;
  BatchPlan plan_;
  const InputSource& source_;
  int total_, ahead_;
  int next_ = 0;          // to be yielded
  int order_epoch_ = -1;  // the epoch that order_ is for
  std::vector<int> order_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_, spare_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_BATCH_LOADER_H_
