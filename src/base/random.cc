#include "base/random.h"

#include <cmath>
#include <cstring>
#include <string>

#include "base/hash.h"
#include "base/simd.h"

namespace manako {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;

void AppendNumber(std::string& bytes, uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t HashName(uint64_t seed, std::string_view purpose) {
  std::string bytes = "manako random stream 1";
  AppendNumber(bytes, seed);
  AppendNumber(bytes, purpose.size());
  bytes += purpose;
  const Sha256Digest digest = Sha256(bytes);
  uint64_t key;
  std::memcpy(&key, digest.data(), sizeof key);
  return key;
}

// The members of a family of streams are told apart without hashing: this is the finaliser of
// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection of 64 bits.
uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

std::array<uint32_t, 4> Philox4x32(const std::array<uint32_t, 4>& counter,
                                   const std::array<uint32_t, 2>& key) {
  std::array<uint32_t, 4> c = counter;
  std::array<uint32_t, 2> k = key;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * c[0];
    const uint64_t p1 = uint64_t{kMultiplier1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k[0] += kWeyl0;
    k[1] += kWeyl1;
  }
  return c;
}

Random::Random(uint64_t seed, std::string_view purpose, uint64_t a, uint64_t b, uint64_t c) {
  uint64_t key = HashName(seed, purpose);
  key = Mix(key ^ Mix(a));
  key = Mix(key ^ Mix(b + 0x1000000000000000u));
  key = Mix(key ^ Mix(c + 0x2000000000000000u));
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

Random::result_type Random::operator()() {
  if (used_ == 4) {
    block_ = Philox4x32(counter_, key_);
    for (auto& word : counter_) {
      if (++word != 0) break;
    }
    used_ = 0;
  }
  return block_[used_++];
}

namespace {

constexpr size_t kLanes = 16;

// The blocks of kLanes counters that follow one another in their first word.
MANAKO_SIMD void PhiloxMany(const uint32_t* counter, const uint32_t* key, uint32_t* out) {
  uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
  for (size_t i = 0; i < kLanes; ++i) {
    c0[i] = counter[0] + static_cast<uint32_t>(i);
    c1[i] = counter[1];
    c2[i] = counter[2];
    c3[i] = counter[3];
  }
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < kLanes; ++i) {
      const uint64_t p0 = uint64_t{kMultiplier0} * c0[i];
      const uint64_t p1 = uint64_t{kMultiplier1} * c2[i];
      c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(p1);
      c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(p0);
    }
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  for (size_t i = 0; i < kLanes; ++i) {
    out[4 * i] = c0[i];
    out[4 * i + 1] = c1[i];
    out[4 * i + 2] = c2[i];
    out[4 * i + 3] = c3[i];
  }
}

}  // namespace

void Random::Fill(std::span<uint32_t> words) {
  size_t i = 0;
  while (i < words.size() && used_ < 4) words[i++] = (*this)();
  while (words.size() - i >= 4 * kLanes && counter_[0] <= UINT32_MAX - kLanes) {
    PhiloxMany(counter_.data(), key_.data(), words.data() + i);
    counter_[0] += kLanes;
    i += 4 * kLanes;
  }
  while (i < words.size()) words[i++] = (*this)();
}

uint64_t Random::Next64() {
  const uint64_t low = (*this)();
  return low | (uint64_t{(*this)()} << 32);
}

double Random::Uniform() { return static_cast<double>(Next64() >> 11) * 0x1p-53; }

uint64_t Random::Below(uint64_t n) {
  unsigned __int128 product = static_cast<unsigned __int128>(Next64()) * n;
  if (static_cast<uint64_t>(product) < n) {
    const uint64_t threshold = (0 - n) % n;
    while (static_cast<uint64_t>(product) < threshold) {
      product = static_cast<unsigned __int128>(Next64()) * n;
    }
  }
  return static_cast<uint64_t>(product >> 64);
}

double Random::Normal() {
  if (has_spare_normal_) {
    has_spare_normal_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  const double angle = 2 * M_PI * Uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_normal_ = true;
  return radius * std::cos(angle);
}

double Random::Gamma(double shape) {
  if (shape < 1) return Gamma(shape + 1) * std::pow(1 - Uniform(), 1 / shape);
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = Normal();
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - Uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

std::vector<double> Random::Dirichlet(double alpha, int n) {
  std::vector<double> shares(n);
  double sum = 0;
  for (double& share : shares) sum += share = Gamma(alpha);
  // A tiny alpha can underflow every draw; all mass then goes to one category, which is the
  // distribution's limit.
  if (!(sum > 0)) {
    shares[Below(n)] = sum = 1;
  }
  for (double& share : shares) share /= sum;
  return shares;
}

uint64_t DeriveSeed(uint64_t seed, std::string_view purpose, uint64_t index) {
  return Mix(HashName(seed, purpose) ^ Mix(index));
}

}  // namespace manako
