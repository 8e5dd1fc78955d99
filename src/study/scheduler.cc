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
    waiting_.emplace(chain, std::move(job));
  }
  changed_.notify_one();
}

void Scheduler::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  waiting_.clear();
  next_chain_ = chains_.size();
}

void Scheduler::Run(int threads) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([this] { Work(); });
  Work();
  for (std::thread& thread : others) thread.join();
}

void Scheduler::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    Job job;
    if (!waiting_.empty()) {
      job = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
    } else if (next_chain_ < chains_.size()) {
      job = std::move(chains_[next_chain_++]);
    } else if (running_ == 0) {
      changed_.notify_all();
      return;
    } else {
      changed_.wait(lock);
      continue;
    }
    ++running_;
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
    --running_;
    changed_.notify_all();
  }
}

}  // namespace manako
