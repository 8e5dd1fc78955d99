// A pickle machine that builds data and runs nothing.
//
// Python's pickle is a stack machine that may name and call any function. This one knows the
// opcodes of protocols 0 to 5 that make None, booleans, integers, floats, strings, bytes, tuples,
// lists and dictionaries; a global is only a name, from a list that the caller allows, and calling
// one only writes down the call. All else is refused by name. (Strings of protocol 0 with a
// backslash in them are refused too: torch.save cannot write protocol 0.) Source of the opcodes:
// CPython's Lib/pickletools.py; PEP 307, 3154 and 574.
//
// Values refer to each other by number, not by pointer: cycles are harmless, and neither building
// nor dropping the values recurses.
#ifndef MANAKO_LEARN_IMPORT_PICKLE_H_
#define MANAKO_LEARN_IMPORT_PICKLE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/import/byte_reader.h"

namespace manako {

using PickleId = uint32_t;

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,    // integer: 0 or 1
    kInt,     // integer
    kBigInt,  // text: little-endian two's complement, or the decimal digits of protocols 0 and 1
    kFloat,   // no value: none is needed
    kString,  // text
    kBytes,   // text
    kTuple,   // items
    kList,    // items
    kDict,    // items: key, value, key, value ... as written, so a key may occur twice
    kGlobal,  // text: "module.name", which is in the list of allowed globals
    kCall,    // items: the global, the tuple of arguments
    kPersistent,  // items: the id
  };
  Kind kind = Kind::kNone;
  uint32_t items = 0;  // where the items are; for Pickle::items()
  int64_t integer = 0;
  std::string_view text;
};

struct PickleOptions {
  std::span<const std::string_view> globals =
      {};                         // allowed, as "module.name"; must outlive the Pickle
  size_t max_values = 1'000'000;  // also of items in containers, and of memo places
};

// The values of one pickle. Texts point into the bytes that were read, which must outlive it.
class Pickle {
 public:
  // Reads one pickle, up to and with its STOP. collections.OrderedDict, if allowed, becomes a
  // kDict, and its attributes
  // (_metadata) are dropped. InvalidArgument: damaged, or something refused (by name and place);
  // ResourceExhausted.
  static absl::StatusOr<Pickle> Read(ByteReader& reader, const PickleOptions& options);

  const PickleValue& root() const { return at(root_); }
  const PickleValue& at(PickleId id) const { return values_[id]; }
  // Of a tuple, list, dictionary, call or persistent id; no other kind has any.
  std::span<const PickleId> items(const PickleValue& value) const { return items_[value.items]; }
  // All values in the order in which they were made.
  std::span<const PickleValue> values() const { return values_; }

 private:
  friend class PickleMachine;
  std::vector<PickleValue> values_;
  std::vector<std::vector<PickleId>> items_ = {{}};  // the first is that of all kinds without items
  PickleId root_ = 0;
};

// "a dictionary", for messages.
std::string_view Describe(PickleValue::Kind kind);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_PICKLE_H_
