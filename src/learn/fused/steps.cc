#include "learn/fused/steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

namespace manako::fused {

float* Frame::operator[](const Place& place) const {
  switch (place.space) {
    case Place::Space::kArena:
      return run.arena + offsets_[static_cast<size_t>(place.index)] + place.from;
    case Place::Space::kValues:
      return run.values + place.index + place.from;
    case Place::Space::kGradients:
      return run.gradients + place.index + place.from;
    case Place::Space::kNowhere:
      break;
  }
  return nullptr;
}

Steps::Steps() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

Place Steps::NewBuffer(int64_t floats) {
  buffers_.push_back({std::max<int64_t>(1, floats)});
  return {Place::Space::kArena, static_cast<int64_t>(buffers_.size()) - 1, 0};
}

void Steps::Use(const Place& place) {
  if (place.space != Place::Space::kArena) return;
  BufferLife& life = buffers_[static_cast<size_t>(place.index)];
  // Preparing steps, which only some runs make, are all at time 0.
  const int now = preparing_ ? 0 : static_cast<int>(steps_.size()) + 1;
  life.first = life.first < 0 ? now : std::min(life.first, now);
  life.last = std::max(life.last, now);
}

void Steps::Add(std::string name, const std::vector<Place>& uses, Body body) {
  for (const Place& place : uses) Use(place);
  (preparing_ ? prepare_ : steps_).push_back({std::move(name), std::move(body)});
}

void Steps::AddPrimitive(std::string name, const dnnl::primitive& primitive,
                         const dnnl::primitive_desc_base& description,
                         const std::vector<Argument>& arguments) {
  std::unordered_map<int, dnnl::memory> memories;
  std::vector<std::pair<dnnl::memory, Place>> bindings;
  std::vector<Place> uses;
  const auto bind = [&](const Argument& argument) {
    const dnnl::memory memory(argument.desc, engine_, DNNL_MEMORY_NONE);
    memories.emplace(argument.index, memory);
    bindings.emplace_back(memory, argument.place);
    uses.push_back(argument.place);
  };
  for (const Argument& argument : arguments) {
    if (argument.place) bind(argument);
  }
  const dnnl::memory::desc scratchpad = description.scratchpad_desc();
  if (scratchpad.get_size() > 0) {
    bind({DNNL_ARG_SCRATCHPAD, scratchpad,
          NewBuffer(static_cast<int64_t>(scratchpad.get_size() + 3) / 4)});
  }
  name += std::string(" ") + description.impl_info_str();
  Add(std::move(name), uses, [this, primitive, memories, bindings](const Frame& frame) mutable {
    for (auto& [memory, place] : bindings) memory.set_data_handle(frame[place]);
    primitive.execute(stream_, memories);
  });
}

void Steps::PlanMemory() {
  const int end = static_cast<int>(steps_.size()) + 1;
  for (BufferLife& life : buffers_) {
    if (life.first == 0 && life.last > 0) life.last = end;
  }
  arena_ = PlanArena(buffers_);
}

void Steps::Execute(Step& step, const Frame& frame) {
  const auto begin = std::chrono::steady_clock::now();
  step.body(frame);
  step.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void Steps::Run(PlanRun& run) {
  const Frame frame(run, arena_.offsets);
  if (run.prepare) {
    for (Step& step : prepare_) Execute(step, frame);
  }
  for (Step& step : steps_) Execute(step, frame);
}

std::string Steps::Profile() const {
  std::string text;
  for (const auto* steps : {&prepare_, &steps_}) {
    for (const Step& step : *steps)
      text += fmt::format("{:9.3f} ms  {}\n", step.seconds * 1e3, step.name);
  }
  return text;
}

dnnl::primitive_attr UserScratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace manako::fused
