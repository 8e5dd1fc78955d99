#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "dashboard/testing/fuzzed_pages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static char folder[] = "/tmp/manako-pages-fuzz-XXXXXX";
  static const char* made = mkdtemp(folder);
  static std::unique_ptr<manako::FuzzedPages> pages;
  static int asked = 0;
  // Runs and events would add up.
  if (asked++ % 4096 == 0) pages = std::make_unique<manako::FuzzedPages>(made);
  pages->Ask({reinterpret_cast<const char*>(data), size});
  return 0;
}
