#include "predict/predict.h"

#include <algorithm>
#include <utility>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "core/image_store.h"
#include "data/decode.h"
#include "learn/torch_learner.h"

namespace manako {
namespace {

constexpr size_t kAtOnce = 256;  // images
constexpr int kBatch = 32;

// Some decoded images in memory.
class MemoryStore : public ImageStore {
 public:
  MemoryStore(int side, size_t images) : side_(side), bytes_(images * Stride()), size_(images) {}
  int height() const override { return side_; }
  int width() const override { return side_; }
  size_t size() const override { return size_; }
  const uint8_t* Pixels(size_t image) const override { return bytes_.data() + image * Stride(); }
  uint8_t* Pixels(size_t image) { return bytes_.data() + image * Stride(); }

 private:
  size_t Stride() const { return static_cast<size_t>(side_) * static_cast<size_t>(side_) * 3; }
  int side_;
  std::vector<uint8_t> bytes_;
  size_t size_;
};

}  // namespace

absl::Status PredictImages(const ModelFile& model, const std::vector<FoundImage>& images,
                           const PredictOptions& options,
                           const std::function<absl::Status(std::span<ImagePrediction>)>& take) {
  DecodeOptions decode;
  decode.size = model.image_size;
  MANAKO_ASSIGN_OR_RETURN(decode.crop, ParseCropMode(model.crop));
  TrainConfig train = options.train;
  train.precision = ResolvePrecision(train.precision, train.device, nullptr);
  MANAKO_ASSIGN_OR_RETURN(train.engine,
                          ResolveEngine(model.pool.get(), train, model.image_size, nullptr));
  const int classes = static_cast<int>(model.classes.size());

  for (size_t begin = 0; begin < images.size(); begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, images.size() - begin);
    std::vector<ImagePrediction> out(count);
    MemoryStore store(model.image_size, count);
    ParallelFor(options.threads, count, [&](size_t i) {
      out[i].file = images[begin + i].file;
      absl::StatusOr<std::string> bytes = ReadFile(images[begin + i].path);
      const absl::Status status =
          bytes.ok() ? DecodeImage(*bytes, decode, store.Pixels(i)) : bytes.status();
      if (!status.ok()) out[i].error = MessageOf(status);
    });
    Examples examples;
    examples.store = &store;
    for (size_t i = 0; i < count; ++i) {
      if (out[i].error.empty()) examples.images.push_back(static_cast<int>(i));
    }
    examples.labels.assign(examples.images.size(), 0);  // unknown: the loss means nothing
    MANAKO_ASSIGN_OR_RETURN(const Predictions predictions,
                            Predict(model.pool.get(), *model.model, examples, classes, kBatch,
                                    EngineOptions::Of(train), model.normalisation));
    for (size_t i = 0; i < predictions.images.size(); ++i) {
      const auto first = predictions.probabilities.begin() + static_cast<int64_t>(i) * classes;
      out[static_cast<size_t>(predictions.images[i])].probabilities.assign(first, first + classes);
    }
    MANAKO_RETURN_IF_ERROR(take(out));
  }
  return absl::OkStatus();
}

}  // namespace manako
