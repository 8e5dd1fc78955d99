// Makes .npz files for tests.
#ifndef MANAKO_DATA_NPZ_TESTING_H_
#define MANAKO_DATA_NPZ_TESTING_H_

#include <zlib.h>

#include <string>
#include <string_view>
#include <vector>

namespace manako {

inline std::string LittleEndian(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i)
    bytes.push_back(i < 8 ? static_cast<char>(value >> (8 * i) & 0xff) : 0);
  return bytes;
}

inline std::string Npy(const std::string& dtype, const std::string& shape, std::string_view data,
                       int version = 1) {
  const std::string dict =
      "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
  return std::string("\x93NUMPY") + static_cast<char>(version) + '\0' +
         LittleEndian(dict.size(), version == 1 ? 2 : 4) + dict + std::string(data);
}

inline std::string Deflate(std::string_view data) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct ZipEntry {
  std::string name, content;
};

inline std::string Zip(const std::vector<ZipEntry>& entries, bool compress = false) {
  std::string zip, directory;
  for (const ZipEntry& entry : entries) {
    const std::string data = compress ? Deflate(entry.content) : entry.content;
    const uint64_t crc = crc32(0, reinterpret_cast<const Bytef*>(entry.content.data()),
                               static_cast<uInt>(entry.content.size()));
    const std::string shared =
        LittleEndian(0, 2) + LittleEndian(compress ? 8 : 0, 2) + LittleEndian(0, 4) +
        LittleEndian(crc, 4) + LittleEndian(data.size(), 4) +
        LittleEndian(entry.content.size(), 4) + LittleEndian(entry.name.size(), 2);
    directory += "PK\1\2" + LittleEndian(20, 2) + LittleEndian(20, 2) + shared +
                 LittleEndian(0, 12) + LittleEndian(zip.size(), 4) + entry.name;
    zip += "PK\3\4" + LittleEndian(20, 2) + shared + LittleEndian(0, 2) + entry.name + data;
  }
  const uint64_t at = zip.size();
  return zip + directory + "PK\5\6" + LittleEndian(0, 4) + LittleEndian(entries.size(), 2) +
         LittleEndian(entries.size(), 2) + LittleEndian(directory.size(), 4) + LittleEndian(at, 4) +
         LittleEndian(0, 2);
}

}  // namespace manako

#endif  // MANAKO_DATA_NPZ_TESTING_H_
