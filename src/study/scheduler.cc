#include "study/scheduler.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace manako {

int Scheduler::AddChain(Job first) {
  std::lock_guard lock(mutex_);
  chains_.push_back(std::move(first));
  return static_cast<int>(chains_.size()) - 1;
}

void Scheduler::AddJob(int chain, Job job) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    waiting_.push_back({chain, std::move(job)});
    ++unfinished_[chain];
  }
  changed_.notify_one();
}

void Scheduler::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const Waiting& waiting : waiting_) {
    if (--unfinished_[waiting.chain] == 0) unfinished_.erase(waiting.chain);
  }
  waiting_.clear();
  next_chain_ = chains_.size();
}

void Scheduler::Run(int threads) {
  threads_ = threads;
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([this] { Work(); });
  Work();
  for (std::thread& thread : others) thread.join();
}

bool Scheduler::Take(Waiting& next) {
  const size_t unstarted = chains_.size() - next_chain_;
  const bool last_ones = unfinished_.size() + unstarted <= static_cast<size_t>(threads_) + 1;
  if (unstarted > 0 && (waiting_.empty() || last_ones)) {
    next = {static_cast<int>(next_chain_), std::move(chains_[next_chain_])};
    ++next_chain_;
    ++unfinished_[next.chain];
    return true;
  }
  if (waiting_.empty()) return false;
  const auto earliest =
      last_ones
          ? waiting_.begin()
          : std::min_element(waiting_.begin(), waiting_.end(),
                             [](const Waiting& a, const Waiting& b) { return a.chain < b.chain; });
  next = std::move(*earliest);
  waiting_.erase(earliest);
  return true;
}

void Scheduler::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    Waiting next;
    if (!Take(next)) {
      if (unfinished_.empty()) {
        changed_.notify_all();
        return;
      }
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    next.job();
    next.job = nullptr;
    lock.lock();
    if (--unfinished_[next.chain] == 0) unfinished_.erase(next.chain);
    changed_.notify_all();
  }
}

}  // namespace manako
