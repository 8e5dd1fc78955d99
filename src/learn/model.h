// A network as a TorchScript module whose parameters and float buffers are views of one flat array.
//
// Built-in architectures are assembled here with torchvision's layer names; a file from Python is
// the same thing. Only src/learn includes libtorch; this header is for use inside src/learn.
#ifndef MANAKO_LEARN_MODEL_H_
#define MANAKO_LEARN_MODEL_H_

#include <torch/script.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameter_set.h"
#include "learn/module_def.h"
#include "learn/networks.h"

namespace manako {

struct ModelCard;
struct LoadedModel;

// Takes float images [n, 3, h, w], normalised, and gives logits [n, classes]; a trunk gives, and a
// head takes, features [n, c, h, w] or [n, c].
class Network {
 public:
  // A built-in network's values are zero until Initialise() or Load(); a file's are the file's. In
  // inference mode. InvalidArgument: an unknown name (lists the known ones); a part of a file, or
  // at a layer where the network cannot be divided (lists where it can); classes < 2; dropout not
  // below 1; a file that is no TorchScript module with forward(self, x: Tensor) -> Tensor, gives
  // other than `classes` outputs (says how many), or has parameters that are not numbers of a
  // floating type or that overlap. It is tried on images of several usual sides, of which one must
  // do. float16, bfloat16 and float64 become float32. All parameters of a file are trained, also
  // those that do not require gradients there; those that share memory (tied weights) are one,
  // under the first name.
  static absl::StatusOr<std::unique_ptr<Network>> Create(const NetworkOptions& options);

  const std::shared_ptr<const ModelSpec>& spec() const { return spec_; }
  // The flat array that the module's tensors are views of: writing here changes the module.
  FlatArray& values() { return values_; }
  // Gradients of the trained prefix, spec()->parameter_extent() long, in the same order: there from
  // the first Forward() that records them, or the first call of this. Backward adds to them.
  FlatArray& gradients();
  torch::jit::Module& module() { return module_; }

  // Gives the values' memory back until they are written again: they are zero from now on.
  void ForgetValues() { values_.Discard(); }

  // Draws initial parameters from torchvision's distributions (module_def.h; BatchNorm 1 and 0; for
  // a file: the file's own values again), each tensor from its own stream of `seed`, so that the
  // bits depend on nothing else.
  void Initialise(uint64_t seed);
  // Train or inference mode (BatchNorm, dropout). Built-in networks leave num_batches_tracked at 0:
  // it is no part of the spec, has no effect, and would make a model's bytes depend on how often
  // its training was interrupted.
  void SetTraining(bool training);
  // Runs the module with eager kernels and eager autograd (no profiling, no fusion), the same from
  // the first step on, on any thread. libtorch's exceptions are the caller's to catch.
  at::Tensor Forward(const at::Tensor& images);

  // Replaces initial parameters by those of a file (torchvision .pth, safetensors, TorchScript).
  // The classifier (the last layer) keeps its random values where its class count differs, and this
  // is said in `note`. InvalidArgument for every other missing, extra or misshapen tensor, by name:
  // all of them counted, the first few listed; and for values that are not finite. Counters
  // (num_batches_tracked) may be there or not, and are left out. DenseNet's names of before
  // torchvision 0.3 ("norm.1") are understood. After an error nothing has changed.
  absl::Status Load(const std::string& path, std::string* note);

 private:
  friend absl::Status SaveModel(Network& network, const ModelCard& card, const std::string& path);
  friend absl::StatusOr<LoadedModel> LoadModel(const std::string& path);

  Network() = default;
  // Takes over the module of the file `path` after trying it on images of one of `sides`, in their
  // order.
  static absl::StatusOr<std::unique_ptr<Network>> FromModule(torch::jit::Module module,
                                                             const std::string& path, int classes,
                                                             const std::vector<int>& sides);
  absl::Status Bind(bool copy_values);
  // Takes memory for the gradients when they are first needed.
  void BindGradients();

  std::shared_ptr<const ModelSpec> spec_;
  // The arrays are declared before the module, whose tensors are views of them, and so outlive it.
  FlatArray values_, gradients_;
  FlatArray file_values_;          // for a file: what Initialise() goes back to
  std::vector<TensorFill> fills_;  // for a built-in network: of each of the spec's tensors
  std::set<std::string> aliases_;  // further names of tied tensors
  std::string
      classifier_;  // prefix of the last layer's tensors, e.g. "fc"; may be empty for a file
  bool training_ = false;
  std::vector<std::pair<at::Tensor, int64_t>> trained_;  // parameters and their offsets
  torch::jit::Module module_;
};

// Names and numbers that must go along with a model so that another program can use it.
struct ModelCard {
  std::string architecture;
  std::vector<std::string> classes;
  int image_size = 0;
  std::string crop;               // as in DataConfig
  std::vector<double> mean, std;  // of the normalisation: (x / 255 - mean) / std, RGB
  std::string origin;             // what trained it: free text
  std::string digest;             // ParameterSet::Digest
};

// Saves the module as it stands, in inference mode, as TorchScript that opens with torch.jit.load,
// with the card as JSON in its extra file "manako.json", where the digest is always that of the
// values saved. Atomic; the same network and card give the same bytes. The network can be trained
// on afterwards.
absl::Status SaveModel(Network& network, const ModelCard& card, const std::string& path);
struct LoadedModel {
  std::unique_ptr<Network> network;
  ModelCard card;
};
// NotFound: no such file. InvalidArgument: no TorchScript module, no card, a card that makes no
// sense (says which field). DataLoss: the parameters are not those whose digest the card has.
absl::StatusOr<LoadedModel> LoadModel(const std::string& path);

}  // namespace manako

#endif  // MANAKO_LEARN_MODEL_H_
