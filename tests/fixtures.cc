#include "fixtures.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "process.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void PutLittle(uint64_t value, int bytes, std::string* to) {
  for (int i = 0; i < bytes; ++i) to->push_back(static_cast<char>(value >> (8 * i)));
}
void PutBig(uint32_t value, std::string* to) {
  for (int i = 3; i >= 0; --i) to->push_back(static_cast<char>(value >> (8 * i)));
}

std::string BmpHeader(int32_t width, int32_t height, uint64_t pixel_bytes) {
  std::string bytes = "BM";
  PutLittle(54 + pixel_bytes, 4, &bytes);
  PutLittle(0, 4, &bytes);
  PutLittle(54, 4, &bytes);
  PutLittle(40, 4, &bytes);
  PutLittle(static_cast<uint32_t>(width), 4, &bytes);
  PutLittle(static_cast<uint32_t>(height), 4, &bytes);
  PutLittle(1, 2, &bytes);
  PutLittle(24, 2, &bytes);
  PutLittle(0, 4, &bytes);
  PutLittle(pixel_bytes, 4, &bytes);
  for (int i = 0; i < 4; ++i) PutLittle(i < 2 ? 2835 : 0, 4, &bytes);
  return bytes;
}

void PutChunk(const std::string& type, const std::string& data, std::string* png) {
  PutBig(static_cast<uint32_t>(data.size()), png);
  const std::string body = type + data;
  png->append(body);
  PutBig(static_cast<uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                       static_cast<uInt>(body.size()))),
         png);
}

// Times, speeds, and what is derived from them.
bool IsOfTheClock(const std::string& key) {
  return key == "times" || key == "created" || key == "images_per_second" ||
         key.find("seconds") != std::string::npos;
}

void DropClock(json* value) {
  if (value->is_object()) {
    std::vector<std::string> keys;
    for (const auto& [key, child] : value->items()) keys.push_back(key);
    for (const std::string& key : keys) {
      if (IsOfTheClock(key)) value->erase(key);
    }
  }
  for (json& child : *value) {
    if (child.is_structured()) DropClock(&child);
  }
}

}  // namespace

const std::string& PhantomFolder() {
  static const TemporaryFolder folder;
  static const std::string images = [] {
    const std::string path = folder / "images";
    const ProcessResult drawn = RunManako(
        {"phantom", "--out", path, "--per-class", "24", "--width", "96", "--height", "80"});
    EXPECT_EQ(drawn.exit_code, 0) << drawn.err;
    return path;
  }();
  return images;
}

void CopyPhantomClasses(const std::string& to) {
  for (const char* name : {"normal", "detachment"}) {
    fs::create_directories(to + "/" + name);
    fs::copy(PhantomFolder() + "/" + name, to + "/" + name);
  }
}

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << "cannot open " << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void Spill(const std::string& path, std::string_view bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(file.flush().good()) << "cannot write " << path;
}

json ReadJson(const std::string& path) {
  json value = json::parse(Slurp(path), nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(value.is_object()) << path << " is no JSON object";
  return value;
}

std::vector<json> ReadJournal(const std::string& run_folder) {
  const std::string text = Slurp(run_folder + "/journal.jsonl");
  EXPECT_TRUE(text.empty() || text.back() == '\n') << "the last line has no end";
  std::vector<json> events;
  for (const std::string& line : Lines(text)) {
    json event = json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool good = event.is_object() && event.contains("event") && event.contains("time");
    EXPECT_TRUE(good) << run_folder << "/journal.jsonl: " << line;
    if (good) events.push_back(std::move(event));
  }
  return events;
}

std::vector<std::map<std::string, std::string>> ReadCsv(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  bool quoted = false;
  const std::string text = Slurp(path);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      row.back() += text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      row.emplace_back();
    } else if (c == '\n' && !quoted) {
      rows.push_back(std::move(row));
      row.assign(1, "");
    } else if (c != '\r' || quoted) {
      row.back() += c;
    }
  }
  std::vector<std::map<std::string, std::string>> table;
  for (size_t r = 1; r < rows.size(); ++r) {
    EXPECT_EQ(rows[r].size(), rows[0].size()) << path << ": row " << r + 1;
    std::map<std::string, std::string> named;
    for (size_t c = 0; c < std::min(rows[r].size(), rows[0].size()); ++c) {
      named[rows[0][c]] = rows[r][c];
    }
    table.push_back(std::move(named));
  }
  return table;
}

std::string TimelessMetrics(const std::string& run_folder) {
  json metrics = ReadJson(run_folder + "/metrics.json");
  DropClock(&metrics);
  return metrics.dump(1);
}

std::vector<std::string> Leftovers(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (fs::recursive_directory_iterator at(folder, ignored), end; at != end; ++at) {
    const std::string name = at->path().filename().string();
    if (name.find(".part") != std::string::npos) found.push_back(at->path().string());
  }
  return found;
}

std::string BmpBytes(int32_t width, int32_t height, uint32_t rgb) {
  const auto stride = static_cast<size_t>(width * 3 + 3) / 4 * 4;
  std::string bytes = BmpHeader(width, height, stride * static_cast<size_t>(height));
  for (int y = 0; y < height; ++y) {
    std::string line;
    for (int x = 0; x < width; ++x) PutLittle(rgb, 3, &line);  // blue first
    line.resize(stride, '\0');
    bytes += line;
  }
  return bytes;
}

std::string LyingBmp(int32_t width, int32_t height) { return BmpHeader(width, height, 0); }

std::string BlackPng(uint32_t width, uint32_t height) {
  std::string png = "\x89PNG\r\n\x1a\n", header;
  PutBig(width, &header);
  PutBig(height, &header);
  header += std::string("\x01\x00\x00\x00\x00", 5);  // one bit, grey, no interlacing
  PutChunk("IHDR", header, &png);
  const std::string raw((width + 7) / 8 + 1, '\0');
  std::string packed(64 << 10, '\0'), data;
  z_stream stream{};
  EXPECT_EQ(::deflateInit(&stream, Z_BEST_SPEED), Z_OK);
  for (uint32_t y = 0; y < height; ++y) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(raw.data()));
    stream.avail_in = static_cast<uInt>(raw.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(packed.data());
      stream.avail_out = static_cast<uInt>(packed.size());
      ::deflate(&stream, y + 1 == height ? Z_FINISH : Z_NO_FLUSH);
      data.append(packed, 0, packed.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }
  ::deflateEnd(&stream);
  PutChunk("IDAT", data, &png);
  PutChunk("IEND", "", &png);
  return png;
}

std::string LyingPng(uint32_t width, uint32_t height) {
  std::string png = BlackPng(64, 64);
  std::string header;
  PutBig(width, &header);
  PutBig(height, &header);
  header += std::string("\x01\x00\x00\x00\x00", 5);
  std::string lying = png.substr(0, 8);
  PutChunk("IHDR", header, &lying);
  return lying + png.substr(33, 31);
}

int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

}  // namespace manako
