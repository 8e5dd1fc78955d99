// Prepares the batches of one round ahead of the training that uses them.
#ifndef MANAKO_LEARN_BATCH_LOADER_H_
#define MANAKO_LEARN_BATCH_LOADER_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
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
  bool augment = false;
  AugmentConfig augmentation;
  uint64_t seed = 0;  // of this site and round
};

// A prepared batch: images as [n][height][width][3] floats.
struct Batch {
  std::vector<float> pixels;
  std::vector<int64_t> labels;
};

// Yields the plan's batches in order. Their content depends on the plan alone: the order of an
// epoch comes from Random(seed, "order", epoch), an image's augmentation from Random(seed,
// "augment", epoch, position in the order). A background thread works `ahead` batches ahead (0:
// none, batches are made when asked for).
class BatchLoader {
 public:
  BatchLoader(const Examples& examples, const BatchPlan& plan, const Normalisation& normalisation,
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
  Normalisation normalisation_;
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
