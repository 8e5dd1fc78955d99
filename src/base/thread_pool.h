// A fixed number of threads that work through a queue of jobs.
#ifndef MANAKO_BASE_THREAD_POOL_H_
#define MANAKO_BASE_THREAD_POOL_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace manako {

// Jobs start in the order in which they were added, and run to their end in any order. A job may
// add further jobs. Jobs must not throw. The destructor runs what is queued, then joins.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Add(std::function<void()> job);
  // Waits until nothing is queued and nothing runs.
  void Wait();
  int size() const { return static_cast<int>(threads_.size()); }

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable work_, idle_;
  std::deque<std::function<void()>> queue_;
  int running_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

// Runs body(0) ... body(n - 1) on up to `threads` threads, each index once, and returns when all
// are done. With one thread the caller's own runs them in order.
void ParallelFor(int threads, size_t n, const std::function<void(size_t)>& body);

}  // namespace manako

#endif  // MANAKO_BASE_THREAD_POOL_H_
