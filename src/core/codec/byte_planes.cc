#include "core/codec/byte_planes.h"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/simd.h"
#include "base/status_macros.h"

namespace manako {
namespace {

constexpr size_t kMaxPlanes = 4;
constexpr uint32_t kCompressed = 0x80000000u;  // the mark beside a plane's stored length
constexpr int kLevel =
    1;  // the planes have letter frequencies to gain from, and hardly any repetition to look for
constexpr size_t kSample = 1024, kSampleRun = 128;

// Numbers are floats to everybody else.
using Word = uint32_t __attribute__((may_alias));
using HalfWord = uint16_t __attribute__((may_alias));

// The planes of n encoded numbers: their number and sizes. int8 has its steps as a plane of their
// own.
struct Layout {
  size_t count = 0;
  std::array<size_t, kMaxPlanes> sizes{};
};

Layout LayoutOf(ArrayEncoding encoding, size_t n) {
  switch (encoding) {
    case ArrayEncoding::kFloat32:
      return {4, {n, n, n, n}};
    case ArrayEncoding::kBfloat16:
    case ArrayEncoding::kFloat16:
      return {2, {n, n}};
    case ArrayEncoding::kInt8:
      return {2, {EncodedSize(encoding, n) - n, n}};
  }
  return {};
}

MANAKO_SIMD void Split4(const Word* __restrict in, size_t n, uint8_t* __restrict a,
                        uint8_t* __restrict b, uint8_t* __restrict c, uint8_t* __restrict d) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = in[i];
    a[i] = static_cast<uint8_t>(bits);
    b[i] = static_cast<uint8_t>(bits >> 8);
    c[i] = static_cast<uint8_t>(bits >> 16);
    d[i] = static_cast<uint8_t>(bits >> 24);
  }
}

MANAKO_SIMD void SplitXor4(const Word* __restrict in, const Word* __restrict base, size_t n,
                           uint8_t* __restrict a, uint8_t* __restrict b, uint8_t* __restrict c,
                           uint8_t* __restrict d) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = in[i] ^ base[i];
    a[i] = static_cast<uint8_t>(bits);
    b[i] = static_cast<uint8_t>(bits >> 8);
    c[i] = static_cast<uint8_t>(bits >> 16);
    d[i] = static_cast<uint8_t>(bits >> 24);
  }
}

MANAKO_SIMD void Join4(const uint8_t* __restrict a, const uint8_t* __restrict b,
                       const uint8_t* __restrict c, const uint8_t* __restrict d, size_t n,
                       Word* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<uint32_t>(a[i]) | static_cast<uint32_t>(b[i]) << 8 |
             static_cast<uint32_t>(c[i]) << 16 | static_cast<uint32_t>(d[i]) << 24;
  }
}

MANAKO_SIMD void Xor(const Word* __restrict base, size_t n, Word* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] ^= base[i];
}

MANAKO_SIMD void Split2(const HalfWord* __restrict in, size_t n, uint8_t* __restrict a,
                        uint8_t* __restrict b) {
  for (size_t i = 0; i < n; ++i) {
    a[i] = static_cast<uint8_t>(in[i]);
    b[i] = static_cast<uint8_t>(in[i] >> 8);
  }
}

MANAKO_SIMD void Join2(const uint8_t* __restrict a, const uint8_t* __restrict b, size_t n,
                       HalfWord* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint16_t>(a[i] | b[i] << 8);
}

using Histogram = std::array<uint16_t, 256>;

// What zstd's letter codes would save of a plane of which this is a sample, as a part of it. Only a
// judgement of whether to try: it decides nothing about what is decoded.
double SavedPart(const Histogram& histogram, size_t sampled) {
  double bits = 0;
  for (const uint16_t count : histogram) {
    if (count > 0) bits += count * std::log2(static_cast<double>(sampled) / count);
  }
  const double part = 1 - bits / (8.0 * static_cast<double>(sampled));
  // A sample of this size makes noise look like 7.8 bits a byte.
  return part < 0.125 ? 0 : part;
}

struct Judgement {
  std::array<bool, kMaxPlanes> compress{};
  double saved = 0;  // bytes
};

// Runs of numbers from all over the block: `width` bytes each, plane k being byte k of them.
Judgement Sample(const uint8_t* numbers, size_t width, size_t n, const uint8_t* base) {
  std::array<Histogram, kMaxPlanes> histograms{};
  const size_t runs = std::min(kSample / kSampleRun, std::max<size_t>(1, n / kSampleRun));
  const size_t run = std::min(kSampleRun, n);
  for (size_t r = 0; r < runs; ++r) {
    const size_t first = runs == 1 ? 0 : r * (n - run) / (runs - 1);
    for (size_t i = first; i < first + run; ++i) {
      for (size_t k = 0; k < width; ++k) {
        uint8_t byte = numbers[i * width + k];
        if (base != nullptr) byte ^= base[i * width + k];
        ++histograms[k][byte];
      }
    }
  }
  Judgement judgement;
  for (size_t k = 0; k < width; ++k) {
    const double part = SavedPart(histograms[k], runs * run);
    judgement.compress[k] = part > 0;
    judgement.saved += part * static_cast<double>(n);
  }
  return judgement;
}

uint32_t Load32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

struct PlanePacker::Zstd {
  ZSTD_CCtx* compress = nullptr;
  ZSTD_DCtx* expand = nullptr;
  ~Zstd() {
    ZSTD_freeCCtx(compress);
    ZSTD_freeDCtx(expand);
  }
};

PlanePacker::PlanePacker() : zstd_(std::make_unique<Zstd>()) {}
PlanePacker::~PlanePacker() = default;
PlanePacker::PlanePacker(PlanePacker&&) noexcept = default;
PlanePacker& PlanePacker::operator=(PlanePacker&&) noexcept = default;

BlockMethod PlanePacker::Pack(ArrayEncoding encoding, size_t n, const uint8_t* raw,
                              const float* base) {
  const Layout layout = LayoutOf(encoding, n);
  const size_t raw_size = EncodedSize(encoding, n);
  Judgement judgement;
  bool with_base = false;
  if (encoding == ArrayEncoding::kInt8) {
    const Judgement steps = Sample(raw + layout.sizes[0], 1, n, nullptr);
    judgement.compress[1] = steps.compress[0];
    judgement.saved = steps.saved;
  } else {
    judgement = Sample(raw, layout.count, n, nullptr);
    if (encoding == ArrayEncoding::kFloat32 && base != nullptr) {
      const Judgement against =
          Sample(raw, layout.count, n, reinterpret_cast<const uint8_t*>(base));
      with_base = against.saved > judgement.saved;
      if (with_base) judgement = against;
    }
  }
  if (judgement.saved < static_cast<double>(raw_size) / 8) return BlockMethod::kRaw;

  if (zstd_->compress == nullptr) zstd_->compress = ZSTD_createCCtx();
  if (zstd_->compress == nullptr) return BlockMethod::kRaw;  // no memory for it: then without
  if (planes_.size() < raw_size) planes_.resize(raw_size);
  if (packed_.size() < raw_size) packed_.resize(raw_size);
  uint8_t* planes = planes_.data();
  const auto* words = reinterpret_cast<const Word*>(raw);
  if (encoding == ArrayEncoding::kFloat32 && with_base) {
    SplitXor4(words, reinterpret_cast<const Word*>(base), n, planes, planes + n, planes + 2 * n,
              planes + 3 * n);
  } else if (encoding == ArrayEncoding::kFloat32) {
    Split4(words, n, planes, planes + n, planes + 2 * n, planes + 3 * n);
  } else if (encoding == ArrayEncoding::kInt8) {
    planes = const_cast<uint8_t*>(raw);  // only read; its planes are where they must be
  } else {
    Split2(reinterpret_cast<const HalfWord*>(raw), n, planes, planes + n);
  }

  const size_t most = raw_size - raw_size / 16;
  size_t at = layout.count * sizeof(uint32_t);
  for (size_t k = 0; k < layout.count; ++k) {
    const size_t size = layout.sizes[k];
    if (at > most) return BlockMethod::kRaw;
    uint32_t word = static_cast<uint32_t>(size);
    size_t stored = ZSTD_CONTENTSIZE_ERROR;
    if (judgement.compress[k]) {
      stored = ZSTD_compressCCtx(zstd_->compress, packed_.data() + at,
                                 std::min(most - at, size - size / 16), planes, size, kLevel);
    }
    if (judgement.compress[k] && !ZSTD_isError(stored)) {
      word = static_cast<uint32_t>(stored) | kCompressed;
    } else {
      stored = size;
      if (stored > most - at) return BlockMethod::kRaw;
      std::memcpy(packed_.data() + at, planes, size);
    }
    std::memcpy(packed_.data() + k * sizeof word, &word, sizeof word);
    at += stored;
    planes += size;
  }
  packed_size_ = at;
  return with_base ? BlockMethod::kXorPlanes : BlockMethod::kPlanes;
}

absl::Status PlanePacker::Unpack(ArrayEncoding encoding, size_t n, std::span<const uint8_t> payload,
                                 BlockMethod method, const float* base, uint8_t* raw) {
  const Layout layout = LayoutOf(encoding, n);
  const size_t raw_size = EncodedSize(encoding, n);
  if (method == BlockMethod::kXorPlanes && encoding != ArrayEncoding::kFloat32) {
    return DataLoss("only float32 is coded against a base");
  }
  if (payload.size() < layout.count * sizeof(uint32_t))
    return DataLoss("ends within its list of planes");
  if (zstd_->expand == nullptr) zstd_->expand = ZSTD_createDCtx();
  if (zstd_->expand == nullptr) return ResourceExhausted("there is no memory to expand a block");
  if (planes_.size() < raw_size) planes_.resize(raw_size);

  std::array<const uint8_t*, kMaxPlanes> planes{};
  std::span<const uint8_t> rest = payload.subspan(layout.count * sizeof(uint32_t));
  uint8_t* expanded = planes_.data();
  for (size_t k = 0; k < layout.count; ++k) {
    const uint32_t word = Load32(payload.data() + k * sizeof(uint32_t));
    const size_t stored = word & ~kCompressed, size = layout.sizes[k];
    if (stored > rest.size()) return DataLoss("a plane is longer than what is left of the block");
    if ((word & kCompressed) == 0) {
      if (stored != size) return DataLoss("a plane has not the length of its elements");
      planes[k] = rest.data();
    } else {
      // The length that the frame states is looked at first, and what it makes cannot be longer
      // than the plane.
      if (ZSTD_getFrameContentSize(rest.data(), stored) != size ||
          ZSTD_findFrameCompressedSize(rest.data(), stored) != stored) {
        return DataLoss("a compressed plane has not the length of its elements");
      }
      if (ZSTD_decompressDCtx(zstd_->expand, expanded, size, rest.data(), stored) != size) {
        return DataLoss("a compressed plane is damaged");
      }
      planes[k] = expanded;
      expanded += size;
    }
    rest = rest.subspan(stored);
  }
  if (!rest.empty()) return DataLoss("is longer than its planes");

  switch (encoding) {
    case ArrayEncoding::kFloat32: {
      auto* words = reinterpret_cast<Word*>(raw);
      Join4(planes[0], planes[1], planes[2], planes[3], n, words);
      if (method == BlockMethod::kXorPlanes) Xor(reinterpret_cast<const Word*>(base), n, words);
      break;
    }
    case ArrayEncoding::kBfloat16:
    case ArrayEncoding::kFloat16:
      Join2(planes[0], planes[1], n, reinterpret_cast<HalfWord*>(raw));
      break;
    case ArrayEncoding::kInt8:
      std::memcpy(raw, planes[0], layout.sizes[0]);
      std::memcpy(raw + layout.sizes[0], planes[1], layout.sizes[1]);
      break;
  }
  return absl::OkStatus();
}

}  // namespace manako
