// The networks that can be trained, without libtorch in the header.
#ifndef MANAKO_LEARN_NETWORKS_H_
#define MANAKO_LEARN_NETWORKS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameter_set.h"
#include "learn/batch.h"

namespace manako {

class EnginePool;
class Network;

// What a network that is divided at a layer has: the trunk, which ends with that layer's input, and
// the head, which takes it. Of a head "images" are what the trunk gives.
enum class NetworkPart : uint8_t { kWhole, kTrunk, kHead };

struct NetworkOptions {
  std::string architecture;  // one of ArchitectureNames(), or the path of a TorchScript file
  int classes = 2;
  double dropout = -1;  // < 0: the architecture's own; no effect on files
  int image_size = 0;   // the side that a file is tried with; 0: the usual one
  NetworkPart part = NetworkPart::kWhole;
  std::string layer = {};  // that a trunk ends before and a head begins with
};

// cnn3, vgg16, resnet18, resnet50, densenet121, squeezenet1_1, mobilenet_v3_small.
const std::vector<std::string>& ArchitectureNames();
// The side in pixels that the architecture is usually trained at (cnn3: 64, the others: 224); 224
// for files.
int UsualImageSize(const std::string& architecture);

// Networks of one architecture that trainings borrow for a round: as many are made as run at once.
// Thread-safe.
class NetworkPool {
 public:
  // Makes the first network, so that a bad architecture is found at once.
  static absl::StatusOr<std::shared_ptr<NetworkPool>> Create(const NetworkOptions& options);
  ~NetworkPool();

  const std::shared_ptr<const ModelSpec>& spec() const;
  const std::string& architecture() const;
  // Initial parameters: random by `seed`, then from `init_file` where one is given (what it did in
  // *note, if not null). Made once for all who ask while somebody holds them.
  absl::StatusOr<std::shared_ptr<const ParameterSet>> InitialParameters(
      uint64_t seed, const std::string& init_file, std::string* note);

  // A network for one thread's use, given back when the handle goes.
  class Handle {
   public:
    Handle(NetworkPool* pool, std::unique_ptr<Network> network);
    ~Handle();
    Handle(Handle&&) noexcept;
    Network* operator->() { return network_.get(); }
    Network& operator*() { return *network_; }
    // Network::ForgetValues(), for those who do not see it.
    void ForgetValues();

   private:
    NetworkPool* pool_;
    std::unique_ptr<Network> network_;
  };
  absl::StatusOr<Handle> Borrow();
  // What computes with these networks; lives as long as the pool.
  EnginePool* engines();
  // Gives the memory of networks and engines back that nobody has borrowed.
  void FreeIdle();

 private:
  struct Impl;
  explicit NetworkPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A model.pt as ExportModel() writes it, ready to compute.
struct ModelFile {
  std::shared_ptr<NetworkPool> pool;
  std::shared_ptr<const ParameterSet> model;
  std::vector<std::string> classes;
  int image_size = 0;
  std::string crop;  // as in DataConfig
  Normalisation normalisation;
};
// Errors as LoadModel's (model.h): not there, not Manako's, changed since.
absl::StatusOr<ModelFile> OpenModelFile(const std::string& path);

struct ExportOptions {
  std::string path;
  std::vector<std::string> classes;
  int image_size = 0;
  std::string crop;    // as in DataConfig
  std::string origin;  // what trained it: free text
};
// Writes model.pt: TorchScript that opens with torch.jit.load, with its preprocessing in its extra
// file manako.json. Atomic.
absl::Status ExportModel(NetworkPool* pool, const ParameterSet& model,
                         const ExportOptions& options);

}  // namespace manako

#endif  // MANAKO_LEARN_NETWORKS_H_
