#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/temporary_folder.h"
#include "dashboard/testing/fuzzed_pages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const manako::TemporaryFolder folder;
  static std::unique_ptr<manako::FuzzedPages> pages;
  static int asked = 0;
  // Runs and events would add up.
  if (asked++ % 4096 == 0) pages = std::make_unique<manako::FuzzedPages>(folder.path());
  pages->Ask({reinterpret_cast<const char*>(data), size});
  return 0;
}
