// Runs the jobs of many trainings on a few threads, the earliest training first.
#ifndef MANAKO_STUDY_SCHEDULER_H_
#define MANAKO_STUDY_SCHEDULER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

namespace manako {

// A chain is one model's training: its first job is given to AddChain(), each job may add further
// ones to its chain. A free thread takes a job of the earliest chain that has one; it starts a new
// chain only when no started one has a job waiting, so that no more trainings are in memory than
// keep the threads busy. The last ones, one more than there are threads, take turns instead, so
// that none of them is left to a single thread at the end. Jobs must not throw.
class Scheduler {
 public:
  using Job = std::function<void()>;
  // Returns the chain's number.
  int AddChain(Job first);
  // From within a job of that chain, or before Run().
  void AddJob(int chain, Job job);
  // From within a job: nothing that has not begun begins any more, in any chain.
  void Stop();
  // Works until nothing is left. Job results are independent of `threads`; only their order in time
  // is not.
  void Run(int threads);

 private:
  struct Waiting {
    int chain;
    Job job;
  };
  void Work();
  // The next job to run; false where nothing waits.
  bool Take(Waiting& next);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Job> chains_;  // not yet started, by number
  size_t next_chain_ = 0;
  std::deque<Waiting> waiting_;    // in the order in which they were added
  std::map<int, int> unfinished_;  // jobs that wait or run, of each started chain that has any
  int threads_ = 1;
  bool stopped_ = false;
};

}  // namespace manako

#endif  // MANAKO_STUDY_SCHEDULER_H_
