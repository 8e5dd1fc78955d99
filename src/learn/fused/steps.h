// A plan's steps and the buffers that they use.
#ifndef MANAKO_LEARN_FUSED_STEPS_H_
#define MANAKO_LEARN_FUSED_STEPS_H_

#include <cstdint>
#include <dnnl.hpp>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "learn/fused/arena.h"
#include "learn/fused/plan.h"

namespace manako::fused {

// Where a step finds an array.
struct Place {
  enum class Space : uint8_t { kNowhere, kArena, kValues, kGradients };
  Space space = Space::kNowhere;
  int64_t index = 0;  // the buffer's number, or the offset in floats
  int64_t from = 0;   // floats behind that

  explicit operator bool() const { return space != Space::kNowhere; }
  // What begins so many floats further on.
  Place Behind(int64_t floats) const { return {space, index, from + floats}; }
  static Place Values(int64_t offset) {
    return {offset < 0 ? Space::kNowhere : Space::kValues, offset};
  }
  static Place Gradients(int64_t offset) {
    return {offset < 0 ? Space::kNowhere : Space::kGradients, offset};
  }
};

// What a step sees while it runs.
class Frame {
 public:
  Frame(PlanRun& run, const std::vector<int64_t>& offsets) : run(run), offsets_(offsets) {}
  // Null for nowhere.
  float* operator[](const Place& place) const;
  // Of a buffer that holds something else than floats.
  template <typename T>
  T* As(const Place& place) const {
    return reinterpret_cast<T*>((*this)[place]);
  }

  PlanRun& run;

 private:
  const std::vector<int64_t>& offsets_;
};

// Steps are added in the order in which they run. What a buffer holds lasts from the first step
// that names it to the last.
class Steps {
 public:
  using Body = std::function<void(const Frame&)>;
  struct Argument {
    int index;  // DNNL_ARG_...
    dnnl::memory::desc desc;
    Place place;
  };

  Steps();

  const dnnl::engine& engine() const { return engine_; }
  Place NewBuffer(int64_t floats);
  // Preparing steps run first, and only where PlanRun::prepare says so: what they leave to others
  // lasts from run to run.
  void set_preparing(bool preparing) { preparing_ = preparing; }
  void Add(std::string name, const std::vector<Place>& uses, Body body);
  // A primitive made with the user scratchpad mode. Arguments with an empty description are left
  // out.
  void AddPrimitive(std::string name, const dnnl::primitive& primitive,
                    const dnnl::primitive_desc_base& description,
                    const std::vector<Argument>& arguments);

  // After the last Add().
  void PlanMemory();
  int64_t arena_floats() const { return arena_.floats; }
  void Run(PlanRun& run);
  std::string Profile() const;

 private:
  struct Step {
    std::string name;
    Body body;
    double seconds = 0;
  };
  void Use(const Place& place);
  void Execute(Step& step, const Frame& frame);

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<BufferLife> buffers_;
  ArenaPlan arena_;
  std::vector<Step> prepare_, steps_;
  bool preparing_ = false;
};

// Attributes of a primitive that takes its scratchpad as an argument.
dnnl::primitive_attr UserScratchpad();

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_STEPS_H_
