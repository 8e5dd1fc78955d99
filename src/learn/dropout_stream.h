// Dropout from a named random stream.
#ifndef MANAKO_LEARN_DROPOUT_STREAM_H_
#define MANAKO_LEARN_DROPOUT_STREAM_H_

#include <memory>

#include "base/random.h"

namespace manako {

// libtorch draws dropout masks from one generator for the whole process, so that two trainings at
// once would disturb each other. While a DropoutStream lives, the masks drawn on its thread come
// from `random`, which must outlive it, in TorchScript files too.
class DropoutStream {
 public:
  explicit DropoutStream(Random* random);
  ~DropoutStream();
  DropoutStream(const DropoutStream&) = delete;
  DropoutStream& operator=(const DropoutStream&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_DROPOUT_STREAM_H_
