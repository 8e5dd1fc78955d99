// What a trained model says of new images.
#ifndef MANAKO_PREDICT_PREDICT_H_
#define MANAKO_PREDICT_PREDICT_H_

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/run_config.h"
#include "data/discover.h"
#include "learn/networks.h"

namespace manako {

struct ImagePrediction {
  std::string file;
  std::vector<float> probabilities;  // of each class; empty where the image could not be read
  std::string error;                 // why it could not
};

struct PredictOptions {
  TrainConfig train;  // engine, precision, device; the engine may be auto
  int threads = 1;    // for decoding
};

// Decodes the images as the model's training had them and gives them to it, some hundred at a time:
// memory does not grow with their number. `take` gets them in their order; what it returns ends the
// work if it is an error. Other errors: the model's crop is none that is known, no memory.
absl::Status PredictImages(const ModelFile& model, const std::vector<FoundImage>& images,
                           const PredictOptions& options,
                           const std::function<absl::Status(std::span<ImagePrediction>)>& take);

}  // namespace manako

#endif  // MANAKO_PREDICT_PREDICT_H_
