#include "core/codec/ordered_pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status_macros.h"

namespace manako {
namespace {

constexpr size_t kSlotsPerThread = 4;

// Slot k % slots belongs to k. `next_` is the first that nobody has begun, `taken_` the first whose
// result was not taken.
class Pipeline {
 public:
  Pipeline(size_t slots, size_t n, const std::function<absl::Status(size_t, size_t)>& work)
      : n_(n), work_(work), done_(slots), results_(slots) {}

  // Works until there is nothing to begin.
  void Help() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || next_ == n_ || next_ < taken_ + done_.size(); });
      if (stop_ || next_ == n_) return;
      DoNext(lock);
    }
  }

  // Waits until k is done, and works meanwhile.
  absl::Status Result(size_t k) {
    std::unique_lock lock(mutex_);
    while (!done_[k % done_.size()]) {
      if (next_ < n_ && next_ < taken_ + done_.size()) {
        DoNext(lock);
      } else {
        changed_.wait(lock, [&] { return done_[k % done_.size()] != 0; });
      }
    }
    return results_[k % done_.size()];
  }

  void Taken(size_t k) {
    std::lock_guard lock(mutex_);
    done_[k % done_.size()] = 0;
    taken_ = k + 1;
    changed_.notify_all();
  }

  void Stop() {
    std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }

 private:
  void DoNext(std::unique_lock<std::mutex>& lock) {
    const size_t k = next_++, slot = k % done_.size();
    lock.unlock();
    absl::Status result = work_(slot, k);
    lock.lock();
    results_[slot] = std::move(result);
    done_[slot] = 1;
    changed_.notify_all();
  }

  const size_t n_;
  const std::function<absl::Status(size_t, size_t)>& work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t next_ = 0, taken_ = 0;
  bool stop_ = false;
  std::vector<char> done_;
  std::vector<absl::Status> results_;
};

}  // namespace

size_t PipelineSlots(int threads) {
  return threads <= 1 ? 1 : kSlotsPerThread * static_cast<size_t>(threads);
}

absl::Status OrderedPipeline(int threads, size_t n,
                             const std::function<absl::Status(size_t, size_t)>& work,
                             const std::function<absl::Status(size_t, size_t)>& take) {
  if (threads <= 1 || n <= 1) {
    for (size_t k = 0; k < n; ++k) {
      MANAKO_RETURN_IF_ERROR(work(0, k));
      MANAKO_RETURN_IF_ERROR(take(0, k));
    }
    return absl::OkStatus();
  }
  Pipeline pipeline(PipelineSlots(threads), n, work);
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(static_cast<size_t>(threads), n); ++i) {
    helpers.emplace_back([&] { pipeline.Help(); });
  }
  absl::Status status;
  for (size_t k = 0; k < n && status.ok(); ++k) {
    status = pipeline.Result(k);
    if (status.ok()) status = take(k % PipelineSlots(threads), k);
    if (status.ok()) pipeline.Taken(k);
  }
  pipeline.Stop();
  for (std::thread& helper : helpers) helper.join();
  return status;
}

}  // namespace manako
