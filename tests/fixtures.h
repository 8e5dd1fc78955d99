// What the tests of the whole program share: folders of images, ways to spoil them, run folders.
#ifndef MANAKO_TESTS_FIXTURES_H_
#define MANAKO_TESTS_FIXTURES_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/temporary_folder.h"

namespace manako {

// A folder of 24 small synthetic images in each of `normal` and `detachment`, with manifest.csv.
// Drawn once for each test program, by the program under test; not to be changed. Copy it to spoil.
const std::string& PhantomFolder();
// A copy of the class folders alone, without manifest.csv.
void CopyPhantomClasses(const std::string& to);

// A port of this machine that nothing listens at.
int FreePort();

// The content of a file; the test fails where it cannot be read.
std::string Slurp(const std::string& path);
void Spill(const std::string& path, std::string_view bytes);
nlohmann::json ReadJson(const std::string& path);
// The journal's events; the test fails at a line that is no JSON object with `event` and `time`.
std::vector<nlohmann::json> ReadJournal(const std::string& run_folder);
// The rows of an RFC 4180 file, each by column name.
std::vector<std::map<std::string, std::string>> ReadCsv(const std::string& path);

// metrics.json without what depends on the clock or the machine's speed.
std::string TimelessMetrics(const std::string& run_folder);
// The paths below a folder that look like an unfinished write (*.part*).
std::vector<std::string> Leftovers(const std::string& folder);

// A BMP of one colour, 24 bits.
std::string BmpBytes(int32_t width, int32_t height, uint32_t rgb);
// A BMP whose header promises width x height pixels of 24 bits, of which none follow.
std::string LyingBmp(int32_t width, int32_t height);
// A black PNG of one bit a pixel: a large picture in a small file, and honest.
std::string BlackPng(uint32_t width, uint32_t height);
// The first 64 bytes of it: the header promises what does not follow.
std::string LyingPng(uint32_t width, uint32_t height);

}  // namespace manako

#endif  // MANAKO_TESTS_FIXTURES_H_
