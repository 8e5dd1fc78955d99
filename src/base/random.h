// Counter-based random numbers with named streams.
//
// Every random decision in Manako (a split, a batch order, an augmentation, an initial weight)
// draws from a stream that is named by who asks for it and why. The stream's key is a hash of that
// name, so a resumed run, a run on more threads and a run over a network draw the same numbers, and
// no stream disturbs another.
//
// The generator is Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011.
#ifndef MANAKO_BASE_RANDOM_H_
#define MANAKO_BASE_RANDOM_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace manako {

// One block of Philox4x32-10: 128 bits of output for a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> Philox4x32(const std::array<uint32_t, 4>& counter,
                                   const std::array<uint32_t, 2>& key);

// A stream of random numbers. Cheap to make and to copy; not shared between threads.
// Satisfies UniformRandomBitGenerator, but prefer the members below: the standard library's
// distributions differ between implementations, these do not.
class Random {
 public:
  using result_type = uint32_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xffffffffu; }

  // The stream of (seed, purpose): Random(7, "split"). The purpose is a name; `a`, `b` and `c` tell
  // apart members of a family of streams, such as round, image and visit.
  Random(uint64_t seed, std::string_view purpose, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0);

  result_type operator()();
  // The next words, as so many calls would give them, but many at once.
  void Fill(std::span<uint32_t> words);
  uint64_t Next64();
  // Uniform in [0, 1), with 53 random bits.
  double Uniform();
  // Uniform in [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  // Uniform in [0, n), unbiased (Lemire 2019). n must be > 0.
  uint64_t Below(uint64_t n);
  // Standard normal (Box-Muller; both values of a pair are used).
  double Normal();
  // Gamma(shape, 1) with shape > 0 (Marsaglia and Tsang 2000; the boost U^(1/shape) for shape < 1).
  double Gamma(double shape);
  // Dirichlet with all parameters `alpha` > 0, over n categories. Sums to 1.
  std::vector<double> Dirichlet(double alpha, int n);

  // Fisher-Yates.
  template <typename T>
  void Shuffle(std::span<T> values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(i)]);
  }
  template <typename T>
  void Shuffle(std::vector<T>& values) {
    Shuffle(std::span<T>(values));
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_{};
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
  double spare_normal_ = 0;
  bool has_spare_normal_ = false;
};

// The seed of a part of something that itself has a seed: DeriveSeed(run_seed, "repeat", 3).
uint64_t DeriveSeed(uint64_t seed, std::string_view purpose, uint64_t index = 0);

}  // namespace manako

#endif  // MANAKO_BASE_RANDOM_H_
