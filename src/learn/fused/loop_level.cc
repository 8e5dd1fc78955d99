#include "learn/fused/loop_level.h"

#include <dnnl.hpp>

namespace manako::fused {

LoopLevel BestLoopLevel() {
#if defined(__x86_64__) && defined(__GNUC__)
  // Values are sets of bits.
  const auto allowed = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto may = [&](dnnl::cpu_isa isa) {
    return (allowed & static_cast<unsigned>(isa)) == static_cast<unsigned>(isa);
  };
  if (may(dnnl::cpu_isa::avx512_core) && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return LoopLevel::kAvx512;
  }
  if (may(dnnl::cpu_isa::avx2) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
    return LoopLevel::kAvx2;
#endif
  return LoopLevel::kPortable;
}

}  // namespace manako::fused
