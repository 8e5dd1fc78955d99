#include "learn/batch_loader.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace manako {

void PixelSource::Write(size_t image, const Visit& visit, float* out) const {
  Augmentation augmentation;
  if (augmentation_.has_value()) {
    augmentation = DrawAugmentation(*augmentation_,
                                    Random(visit.seed, "augment", visit.epoch, visit.position));
  }
  PrepareImage(store_->Pixels(image), store_->height(), store_->width(), augmentation,
               normalisation_, out);
}

BatchLoader::BatchLoader(const Examples& examples, const BatchPlan& plan, const InputSource& source,
                         int ahead)
    : examples_(examples),
      plan_(plan),
      source_(source),
      total_(examples.size() == 0 ? 0 : plan.epochs * plan.batches_per_epoch),
      ahead_(ahead) {
  if (plan.limit >= 0) total_ = std::min(total_, plan.limit);
  if (ahead_ > 0 && total_ > 1) thread_ = std::thread([this] { Work(); });
}

BatchLoader::~BatchLoader() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool BatchLoader::Next(Batch& batch) {
  if (next_ == total_) return false;
  if (!thread_.joinable()) {
    Make(next_++, batch);
    return true;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty(); });
  std::swap(batch, ready_.front());
  spare_.push_back(std::move(ready_.front()));
  ready_.pop_front();
  ++next_;
  lock.unlock();
  changed_.notify_all();
  return true;
}

void BatchLoader::Work() {
  for (int index = 0; index < total_; ++index) {
    Batch batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_ || static_cast<int>(ready_.size()) < ahead_; });
      if (ending_) return;
      if (!spare_.empty()) {
        batch = std::move(spare_.front());
        spare_.pop_front();
      }
    }
    Make(index, batch);
    {
      std::lock_guard lock(mutex_);
      ready_.push_back(std::move(batch));
    }
    changed_.notify_all();
  }
}

void BatchLoader::Make(int index, Batch& batch) {
  const int epoch = index / plan_.batches_per_epoch, within = index % plan_.batches_per_epoch;
  const size_t n = examples_.size();
  if (epoch != order_epoch_) {
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
    if (plan_.shuffle) Random(plan_.seed, "order", static_cast<uint64_t>(epoch)).Shuffle(order_);
    order_epoch_ = epoch;
  }
  const size_t batches = static_cast<size_t>(plan_.batches_per_epoch);
  const size_t begin = n * static_cast<size_t>(within) / batches,
               end = n * (static_cast<size_t>(within) + 1) / batches;
  const auto floats = static_cast<size_t>(source_.shape().elements());
  batch.inputs.resize((end - begin) * floats);
  batch.labels.resize(end - begin);
  for (size_t i = begin; i < end; ++i) {
    const auto example = static_cast<size_t>(order_[i]);
    source_.Write(static_cast<size_t>(examples_.images[example]),
                  {plan_.seed, static_cast<uint64_t>(epoch), i},
                  batch.inputs.data() + (i - begin) * floats);
    batch.labels[i - begin] = examples_.labels[example];
  }
}

}  // namespace manako
