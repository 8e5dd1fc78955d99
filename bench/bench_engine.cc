// Times training steps or inference of one network, or what oneDNN's convolutions and matrix
// products alone would take. Prints one line of JSON; for engine.py. `--what profile` prints the
// steps of the fused engine's plan instead, `--what stall` what the preparation of batches costs a
// study: as many trainings at once as threads, each on one, with augmentation.
#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dnnl.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "core/image_store.h"
#include "learn/batch_loader.h"
#include "learn/fused/convolution.h"
#include "learn/fused/plan.h"
#include "learn/fused/read_graph.h"
#include "learn/networks.h"
#include "learn/optimiser.h"
#include "learn/torch_learner.h"

namespace manako {
namespace {

struct Setting {
  std::string network = "cnn3", what = "train", engine = "fused", precision = "float32";
  int side = 64, batch = 32, threads = 1;
  double seconds = 5;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double ProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double PeakMib() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "bench_engine: %s\n", what.c_str());
  std::exit(1);
}

fused::Precision PrecisionOf(const Setting& setting) {
  return setting.precision == "bfloat16" ? fused::Precision::kBfloat16 : fused::Precision::kFloat32;
}

struct Pace {
  double seconds = 0, processor = 0;  // of one step
};

// Some steps to warm up, then as many as fit into the time.
Pace Measure(double limit, const std::function<void()>& step) {
  for (int i = 0; i < 2; ++i) step();
  const double begin = Now(), processor = ProcessorSeconds();
  int steps = 0;
  do {
    step();
    ++steps;
  } while (Now() - begin < limit);
  return {(Now() - begin) / steps, (ProcessorSeconds() - processor) / steps};
}

void Print(const Setting& setting, const Pace& pace) {
  std::printf(
      "{\"images_per_second\": %.3f, \"images_per_processor_second\": %.3f, \"ms\": %.3f, "
      "\"peak_mib\": %.1f}\n",
      setting.batch / pace.seconds, setting.batch / pace.processor, 1e3 * pace.seconds, PeakMib());
}

// One convolution or matrix product of the graph, alone, in the layouts that oneDNN likes best.
class Alone {
 public:
  Alone(int threads, fused::Precision precision)
      : type_(precision == fused::Precision::kBfloat16 ? dnnl::memory::data_type::bf16
                                                       : dnnl::memory::data_type::f32),
        engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_) {
    omp_set_num_threads(threads);
  }

  void Add(const fused::Graph& graph, const fused::Op& op) {
    using dnnl::memory;
    const auto any_of = [](memory::data_type type, memory::dims dims) {
      return memory::desc(std::move(dims), type, memory::format_tag::any);
    };
    const auto any = [&](memory::dims dims) { return any_of(type_, std::move(dims)); };
    const fused::Shape &in = graph.shapes[static_cast<size_t>(op.inputs[0])],
                       &out = graph.shapes[static_cast<size_t>(op.output)];
    if (op.kind == fused::OpKind::kLinear) {
      const int64_t n = in[0], k = in[1], m = out[1];
      auto x = std::make_shared<std::vector<float>>(n * k, 0.5f),
           w = std::make_shared<std::vector<float>>(m * k, 0.5f),
           y = std::make_shared<std::vector<float>>(n * m, 0.5f);
      const bool training = graph.training;
      work_.push_back([=] {
        dnnl::sgemm('N', 'T', n, m, k, 1, x->data(), k, w->data(), k, 0, y->data(), m);
        if (!training) return;
        dnnl::sgemm('T', 'N', m, k, n, 1, y->data(), m, x->data(), k, 0, w->data(), k);
        dnnl::sgemm('N', 'N', n, k, m, 1, y->data(), m, w->data(), k, 0, x->data(), k);
      });
      return;
    }
    const memory::dims stride = {op.stride[0], op.stride[1]},
                       padding = {op.padding[0], op.padding[1]};
    const int64_t g = op.groups;
    const memory::dims weights =
        g == 1 ? memory::dims{out[1], in[1], op.kernel[0], op.kernel[1]}
               : memory::dims{g, out[1] / g, in[1] / g, op.kernel[0], op.kernel[1]};
    const auto x = any({in[0], in[1], in[2], in[3]}), w = any(weights),
               y = any({out[0], out[1], out[2], out[3]});
    auto algorithm =
        type_ == memory::data_type::f32 && fused::MayUseWinograd(op, in, out, graph.training)
            ? dnnl::algorithm::convolution_winograd
            : dnnl::algorithm::convolution_direct;
    const auto kind =
        graph.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    dnnl::convolution_forward::primitive_desc forward;
    try {
      forward = {{kind, algorithm, x, w, y, stride, padding, padding}, engine_};
    } catch (const dnnl::error&) {  // no Winograd here
      algorithm = dnnl::algorithm::convolution_direct;
      forward = {{kind, algorithm, x, w, y, stride, padding, padding}, engine_};
    }
    AddPrimitive(dnnl::convolution_forward(forward), {{DNNL_ARG_SRC, forward.src_desc()},
                                                      {DNNL_ARG_WEIGHTS, forward.weights_desc()},
                                                      {DNNL_ARG_DST, forward.dst_desc()}});
    if (!graph.training) return;
    const dnnl::convolution_backward_weights::primitive_desc by_weights(
        {algorithm, x, any_of(memory::data_type::f32, weights), y, stride, padding, padding},
        engine_, forward);
    AddPrimitive(dnnl::convolution_backward_weights(by_weights),
                 {{DNNL_ARG_SRC, by_weights.src_desc()},
                  {DNNL_ARG_DIFF_WEIGHTS, by_weights.diff_weights_desc()},
                  {DNNL_ARG_DIFF_DST, by_weights.diff_dst_desc()}});
    if (op.inputs[0] == graph.input) return;
    const dnnl::convolution_backward_data::primitive_desc by_data(
        {algorithm, x, w, y, stride, padding, padding}, engine_, forward);
    AddPrimitive(dnnl::convolution_backward_data(by_data),
                 {{DNNL_ARG_DIFF_SRC, by_data.diff_src_desc()},
                  {DNNL_ARG_WEIGHTS, by_data.weights_desc()},
                  {DNNL_ARG_DIFF_DST, by_data.diff_dst_desc()}});
  }

  void Run() {
    for (const auto& work : work_) work();
    stream_.wait();
  }

 private:
  void AddPrimitive(const dnnl::primitive& primitive,
                    const std::map<int, dnnl::memory::desc>& arguments) {
    std::unordered_map<int, dnnl::memory> memories;
    for (const auto& [index, desc] : arguments) {
      dnnl::memory memory(desc, engine_);
      std::fill_n(static_cast<float*>(memory.get_data_handle()), desc.get_size() / sizeof(float),
                  0.5f);
      memories.emplace(index, memory);
    }
    work_.push_back([this, primitive, memories] { primitive.execute(stream_, memories); });
  }

  const dnnl::memory::data_type type_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<std::function<void()>> work_;
};

// What each step of a training plan takes, in all of ten runs.
void Profile(const Setting& setting, NetworkPool* pool) {
  auto network = pool->Borrow();
  const auto graph =
      fused::ReadGraph(**network, {setting.batch, 3, setting.side, setting.side}, true);
  if (!graph.ok()) Die(std::string(graph.status().message()));
  omp_set_num_threads(setting.threads);
  const auto plan =
      fused::Plan::Make(*graph, pool->spec()->parameter_extent(), PrecisionOf(setting));
  if (!plan.ok()) Die(std::string(plan.status().message()));
  FlatArray arena((*plan)->arena_floats()),
      images(fused::Elements(graph->shapes[static_cast<size_t>(graph->input)]));
  const auto model = pool->InitialParameters(1, "", nullptr);
  FlatArray values = (*model)->values.Clone(), gradients(pool->spec()->parameter_extent());
  const std::vector<int64_t> labels(static_cast<size_t>(setting.batch), 0);
  fused::PlanRun run;
  run.arena = arena.data();
  run.inputs = images.data();
  run.labels = labels;
  run.values = values.data();
  run.gradients = gradients.data();
  for (int i = 0; i < 10; ++i) (*plan)->Run(run);
  std::printf("%sarena: %.1f MiB\n", (*plan)->Profile().c_str(),
              static_cast<double>(arena.size()) * sizeof(float) / (1 << 20));
}

// Images of noise: what they show does not change what they cost.
class NoiseStore : public ImageStore {
 public:
  NoiseStore(int side, size_t images) : side_(side), images_(images) {
    Random random(1, "noise");
    pixels_.resize(images * bytes());
    for (uint8_t& pixel : pixels_) pixel = static_cast<uint8_t>(random.Below(256));
  }
  int height() const override { return side_; }
  int width() const override { return side_; }
  size_t size() const override { return images_; }
  const uint8_t* Pixels(size_t image) const override { return pixels_.data() + image * bytes(); }

 private:
  size_t bytes() const { return static_cast<size_t>(side_) * static_cast<size_t>(side_) * 3; }
  int side_;
  size_t images_;
  std::vector<uint8_t> pixels_;
};

// How long trainings wait for their batches, and how much of a core the preparation takes.
void Stall(const Setting& setting, NetworkPool* pool) {
  constexpr size_t kBatches = 4;
  const size_t images = kBatches * static_cast<size_t>(setting.batch);
  const NoiseStore store(setting.side, images);
  Examples examples;
  examples.store = &store;
  for (int i = 0; i < static_cast<int>(images); ++i) {
    examples.images.push_back(i);
    examples.labels.push_back(i % 2);
  }
  BatchPlan plan;
  plan.epochs = 1 << 20;
  plan.batches_per_epoch = kBatches;
  const PixelSource source(&store, {}, AugmentConfig());
  double preparing = 0;
  {
    BatchLoader loader(examples, plan, source, 0);
    Batch batch;
    loader.Next(batch);
    preparing = Measure(setting.seconds / 4, [&] { loader.Next(batch); }).seconds;
  }
  const auto initial = pool->InitialParameters(1, "", nullptr);
  std::mutex mutex;
  double waited = 0, all = 0;
  int64_t steps = 0;
  std::vector<std::thread> trainings;
  for (int t = 0; t < setting.threads; ++t) {
    trainings.emplace_back([&] {
      omp_set_num_threads(1);
      auto engine = pool->engines()->Borrow({setting.engine, setting.precision, "cpu", true});
      if (!engine.ok()) Die(std::string(engine.status().message()));
      (*engine)->Load(**initial);
      (*engine)->BeginTraining(1);
      BatchLoader loader(examples, plan, source, 1);
      Batch batch;
      double own_waited = 0, began = 0;
      int64_t own_steps = -2;  // the first ones warm up
      for (;; ++own_steps) {
        const double before = Now();
        if (own_steps == 0) began = before;
        if (own_steps > 1 && before - began > setting.seconds) break;
        loader.Next(batch);
        if (own_steps >= 0) own_waited += Now() - before;
        const Engine::Inputs input = {&batch, source.shape()};
        if (const auto loss = (*engine)->Step(input, {}); !loss.ok())
          Die(std::string(loss.status().message()));
      }
      const std::lock_guard lock(mutex);
      waited += own_waited;
      all += Now() - began;
      steps += own_steps;
    });
  }
  for (std::thread& training : trainings) training.join();
  const double step = all / static_cast<double>(steps);
  std::printf(
      "{\"network\": \"%s\", \"trainings\": %d, \"step_ms\": %.1f, \"waited_ms\": %.2f, "
      "\"waited_share\": %.4f, \"prepare_ms\": %.2f, \"prepare_share_of_core\": %.4f}\n",
      setting.network.c_str(), setting.threads, 1e3 * step,
      1e3 * waited / static_cast<double>(steps), waited / all, 1e3 * preparing, preparing / step);
}

void Bench(const Setting& setting) {
  PrepareLibtorch(setting.what == "stall" ? 1 : setting.threads);
  auto pool = NetworkPool::Create({setting.network, 2});
  if (!pool.ok()) Die(std::string(pool.status().message()));
  const int n = setting.batch, side = setting.side;
  if (setting.what.starts_with("bound")) {
    auto network = (*pool)->Borrow();
    const auto graph = fused::ReadGraph(**network, {n, 3, side, side}, setting.what == "bound");
    if (!graph.ok()) Die(std::string(graph.status().message()));
    Alone alone(setting.threads, PrecisionOf(setting));
    for (const fused::Op& op : graph->ops) {
      if (op.kind == fused::OpKind::kConvolution || op.kind == fused::OpKind::kLinear)
        alone.Add(*graph, op);
    }
    return Print(setting, Measure(setting.seconds, [&] { alone.Run(); }));
  }

  if (setting.what == "profile") return Profile(setting, pool->get());
  if (setting.what == "stall") return Stall(setting, pool->get());

  Batch batch;
  Random random(1, "bench");
  batch.inputs.resize(static_cast<size_t>(n) * static_cast<size_t>(side) *
                      static_cast<size_t>(side) * 3);
  for (float& value : batch.inputs) value = static_cast<float>(random.Normal());
  for (int i = 0; i < n; ++i) batch.labels.push_back(i % 2);
  const auto initial = (*pool)->InitialParameters(1, "", nullptr);
  auto engine = (*pool)->engines()->Borrow({setting.engine, setting.precision, "cpu", true});
  if (!engine.ok()) Die(std::string(engine.status().message()));
  (*engine)->Load(**initial);
  const Engine::Inputs images = {&batch, {side, side}};
  if (setting.what == "infer") {
    return Print(setting, Measure(setting.seconds, [&] {
                   if (const auto logits = (*engine)->Outputs(images, n); !logits.ok())
                     Die(std::string(logits.status().message()));
                 }));
  }
  TrainConfig config;
  config.optimiser = "sgd";
  const auto trained = static_cast<size_t>((*pool)->spec()->parameter_extent());
  Optimiser optimiser(config, static_cast<int64_t>(trained));
  (*engine)->BeginTraining(1);
  Print(setting, Measure(setting.seconds, [&] {
          if (const auto loss = (*engine)->Step(images, {}); !loss.ok())
            Die(std::string(loss.status().message()));
          optimiser.Step(1e-4, (*engine)->values().values().subspan(0, trained),
                         (*engine)->gradients().values());
        }));
}

}  // namespace
}  // namespace manako

int main(int count, char** arguments) {
  manako::Setting setting;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string flag = arguments[i], value = arguments[i + 1];
    if (flag == "--model")
      setting.network = value;
    else if (flag == "--what")
      setting.what = value;
    else if (flag == "--engine")
      setting.engine = value;
    else if (flag == "--precision")
      setting.precision = value;
    else if (flag == "--image-size")
      setting.side = std::atoi(value.c_str());
    else if (flag == "--batch")
      setting.batch = std::atoi(value.c_str());
    else if (flag == "--threads")
      setting.threads = std::atoi(value.c_str());
    else if (flag == "--seconds")
      setting.seconds = std::atof(value.c_str());
    else
      manako::Die("there is no flag " + flag);
  }
  manako::Bench(setting);
}
