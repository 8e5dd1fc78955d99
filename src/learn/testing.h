// Small image stores, and trainings on them, for the tests of this folder.
#ifndef MANAKO_LEARN_TESTING_H_
#define MANAKO_LEARN_TESTING_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "core/image_store.h"
#include "learn/torch_learner.h"

namespace manako {

// Noise with a bright square: in the left half for class 0, in the right half for class 1.
class SquaresStore : public ImageStore {
 public:
  SquaresStore(int count, int side, uint64_t seed)
      : side_(side), pixels_(static_cast<size_t>(count)) {
    for (int i = 0; i < count; ++i) {
      Random random(seed, "squares", static_cast<uint64_t>(i));
      auto& image = pixels_[static_cast<size_t>(i)];
      image.resize(static_cast<size_t>(side * side * 3));
      for (uint8_t& p : image) p = static_cast<uint8_t>(random.Below(80));
      const int size = side / 4, label = i % 2;
      const int x0 =
          static_cast<int>(random.Below(static_cast<uint64_t>(side / 2 - size))) + label * side / 2;
      const int y0 = static_cast<int>(random.Below(static_cast<uint64_t>(side - size)));
      for (int y = y0; y < y0 + size; ++y) {
        for (int x = x0; x < x0 + size; ++x) {
          for (int c = 0; c < 3; ++c) image[static_cast<size_t>((y * side + x) * 3 + c)] = 230;
        }
      }
    }
  }
  int height() const override { return side_; }
  int width() const override { return side_; }
  size_t size() const override { return pixels_.size(); }
  const uint8_t* Pixels(size_t image) const override { return pixels_[image].data(); }

  // Images begin..end-1 with their labels.
  Examples Range(int begin, int end) const {
    Examples examples{this, {}, {}};
    for (int i = begin; i < end; ++i) {
      examples.images.push_back(i);
      examples.labels.push_back(i % 2);
    }
    return examples;
  }

 private:
  int side_;
  std::vector<std::vector<uint8_t>> pixels_;
};

// Trains rounds first..last from `model`, feeding each result into the next. The rounds' training
// losses are added to `losses` (if not null).
inline ParameterSet Rounds(TorchLearner& learner, ParameterSet model, int first, int last,
                           std::vector<double>* losses = nullptr) {
  for (int round = first; round <= last; ++round) {
    auto update = learner.Train({round, std::make_shared<ParameterSet>(std::move(model)), nullptr});
    EXPECT_TRUE(update.ok()) << update.status();
    if (losses != nullptr) losses->push_back(update->metrics["train_loss"]);
    model = std::move(update->model);
  }
  return model;
}

}  // namespace manako

#endif  // MANAKO_LEARN_TESTING_H_
