#include "learn/import/pickle_machine.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/status_macros.h"
#include "learn/import/checks.h"

namespace manako {
namespace {

constexpr PickleId kNothing = UINT32_MAX;
constexpr int kNewestProtocol = 5;
// Python numbers memo places without gaps, from 0 or (Python 2) from 1. A larger one would only
// cost memory.
constexpr uint64_t kMaxMemoGap = 16;

// The opcodes, in the order of CPython's pickle.py.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloatText = 'F',
  kIntText = 'I',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kLongText = 'L',
  kBinInt2 = 'M',
  kNone = 'N',
  kPersId = 'P',
  kBinPersId = 'Q',
  kReduce = 'R',
  kStringText = 'S',
  kBinString = 'T',
  kShortBinString = 'U',
  kUnicodeText = 'V',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kGetText = 'g',
  kBinGet = 'h',
  kInst = 'i',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kPutText = 'p',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

// Opcodes that make what no state dict has, by CPython's names.
std::string_view RefusedName(uint8_t opcode) {
  static constexpr std::pair<uint8_t, std::string_view> kRefused[] = {
      {'P', "PERSID"},          {'o', "OBJ"},        {0x81, "NEWOBJ"},     {0x82, "EXT1"},
      {0x83, "EXT2"},           {0x84, "EXT4"},      {0x8f, "EMPTY_SET"},  {0x90, "ADDITEMS"},
      {0x91, "FROZENSET"},      {0x92, "NEWOBJ_EX"}, {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"},
      {0x98, "READONLY_BUFFER"}};
  for (const auto& [code, name] : kRefused) {
    if (code == opcode) return name;
  }
  return {};
}

template <typename T>
bool ParseWhole(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool AllDigits(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

absl::StatusOr<Pickle> PickleMachine::Run() {
  for (;;) {
    opcode_at_ = reader_.position();
    uint8_t opcode = 0;
    if (!reader_.Take(opcode)) return Damaged("ends before its STOP");
    if (opcode == kStop) break;
    MANAKO_RETURN_IF_ERROR(Step(opcode));
  }
  if (stack_.size() != 1 || !marks_.empty()) return Damaged("does not leave exactly one value");
  pickle_.root_ = stack_.front();
  return std::move(pickle_);
}

absl::Status PickleMachine::Step(uint8_t opcode) {
  std::string_view skipped;
  uint64_t frame_bytes = 0;
  uint8_t protocol = 0;
  PickleId top = 0;
  std::vector<PickleId> dropped;
  switch (opcode) {
    case kProto:
      if (!reader_.Take(protocol) || protocol > kNewestProtocol) {
        return Damaged("has a protocol that is not one of 0 to 5");
      }
      return absl::OkStatus();
    case kFrame:
      // Frames only help a reader to fetch ahead.
      if (!reader_.Take(frame_bytes) || frame_bytes > reader_.remaining()) {
        return Damaged("has a frame longer than what is left");
      }
      return absl::OkStatus();
    case kMark:
      if (marks_.size() >= options_.max_values) return TooMany("marks");
      marks_.push_back(stack_.size());
      return absl::OkStatus();
    case kPop:
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
        return absl::OkStatus();
      }
      return Pop(top) ? absl::OkStatus() : Damaged("takes from an empty stack");
    case kPopMark:
      return PopToMark(dropped) ? absl::OkStatus() : Damaged("lacks a mark");
    case kDup:
      if (stack_.size() == Floor()) return Damaged("takes from an empty stack");
      return Push(stack_.back());
    case kNone:
    case kNewTrue:
    case kNewFalse:
    case kFloatText:
    case kBinFloat:
    case kIntText:
    case kLongText:
    case kBinInt:
    case kBinInt1:
    case kBinInt2:
    case kLong1:
    case kLong4:
      return StepScalar(opcode);
    case kStringText:
    case kUnicodeText:
    case kBinString:
    case kShortBinString:
    case kBinUnicode:
    case kShortBinUnicode:
    case kBinUnicode8:
    case kBinBytes:
    case kShortBinBytes:
    case kBinBytes8:
      return StepText(opcode);
    case kEmptyTuple:
    case kTuple1:
    case kTuple2:
    case kTuple3:
    case kTuple:
    case kEmptyList:
    case kList:
    case kAppend:
    case kAppends:
    case kEmptyDict:
    case kDict:
    case kSetItem:
    case kSetItems:
      return StepContainer(opcode);
    case kPutText:
    case kBinPut:
    case kLongBinPut:
    case kMemoize:
    case kGetText:
    case kBinGet:
    case kLongBinGet:
      return StepMemo(opcode);
    case kGlobal:
    case kStackGlobal:
    case kInst:
    case kReduce:
    case kBuild:
    case kBinPersId:
      return StepObject(opcode);
    default:
      break;
  }
  const std::string_view name = RefusedName(opcode);
  if (name.empty()) return Damaged(fmt::format("has the unknown opcode 0x{:02x}", opcode));
  return Damaged(fmt::format("has the opcode {}, which no state dict needs", name));
}

absl::Status PickleMachine::StepScalar(uint8_t opcode) {
  std::string_view skipped;
  uint8_t byte = 0;
  uint16_t half = 0;
  uint32_t word = 0;
  switch (opcode) {
    case kNone:
      return Make(Kind::kNone);
    case kNewTrue:
      return Make(Kind::kBool, 1);
    case kNewFalse:
      return Make(Kind::kBool, 0);
    case kFloatText:
      return reader_.TakeLine(skipped) ? Make(Kind::kFloat) : Damaged("is cut off");
    case kBinFloat:
      return reader_.Take(8, skipped) ? Make(Kind::kFloat) : Damaged("is cut off");
    case kIntText:
      return TextInteger(/*may_be_bool=*/true);
    case kLongText:
      return TextInteger(/*may_be_bool=*/false);
    case kBinInt:
      if (!reader_.Take(word)) break;
      return Make(Kind::kInt, static_cast<int32_t>(word));
    case kBinInt1:
      return reader_.Take(byte) ? Integer(byte) : Damaged("is cut off");
    case kBinInt2:
      return reader_.Take(half) ? Integer(half) : Damaged("is cut off");
    case kLong1:
      return reader_.Take(byte) ? LongInteger(byte) : Damaged("is cut off");
    case kLong4:
      return reader_.Take(word) ? LongInteger(word) : Damaged("is cut off");
    default:
      break;
  }
  return Damaged("is cut off");
}

absl::Status PickleMachine::LongInteger(uint64_t size) {
  std::string_view raw;
  if (!reader_.Take(size, raw)) return Damaged("is cut off");
  if (size > sizeof(uint64_t)) return Make(Kind::kBigInt, 0, raw);
  const bool negative = size > 0 && (raw.back() & 0x80) != 0;
  uint64_t bits = negative ? UINT64_MAX : 0;
  for (size_t i = size; i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(raw[i]);
  return Integer(bits);
}

absl::Status PickleMachine::TextInteger(bool may_be_bool) {
  std::string_view line;
  if (!reader_.TakeLine(line)) return Damaged("is cut off");
  if (may_be_bool && line == "00") return Make(Kind::kBool, 0);
  if (may_be_bool && line == "01") return Make(Kind::kBool, 1);
  if (line.ends_with('L')) line.remove_suffix(1);
  int64_t value = 0;
  if (ParseWhole(line, value)) return Make(Kind::kInt, value);
  if (AllDigits(line)) return Make(Kind::kBigInt, 0, line);
  return Damaged("has " + Quoted(line) + " for an integer");
}

absl::Status PickleMachine::StepText(uint8_t opcode) {
  uint8_t byte = 0;
  uint32_t word = 0;
  uint64_t wide = 0;
  switch (opcode) {
    case kStringText:
    case kUnicodeText: {
      std::string_view line;
      if (!reader_.TakeLine(line)) break;
      if (opcode == kStringText) {
        if (line.size() < 2 || line.front() != line.back() ||
            (line.front() != '\'' && line.front() != '"')) {
          return Damaged("has a string without quotes");
        }
        line = line.substr(1, line.size() - 2);
      }
      if (line.find('\\') != std::string_view::npos) {
        return Damaged("has a protocol 0 string with a backslash in it, which is not supported");
      }
      return Make(Kind::kString, 0, line);
    }
    case kShortBinString:
    case kShortBinUnicode:
      return reader_.Take(byte) ? Text(Kind::kString, byte) : Damaged("is cut off");
    case kBinString:
    case kBinUnicode:
      return reader_.Take(word) ? Text(Kind::kString, word) : Damaged("is cut off");
    case kBinUnicode8:
      return reader_.Take(wide) ? Text(Kind::kString, wide) : Damaged("is cut off");
    case kShortBinBytes:
      return reader_.Take(byte) ? Text(Kind::kBytes, byte) : Damaged("is cut off");
    case kBinBytes:
      return reader_.Take(word) ? Text(Kind::kBytes, word) : Damaged("is cut off");
    case kBinBytes8:
      return reader_.Take(wide) ? Text(Kind::kBytes, wide) : Damaged("is cut off");
    default:
      break;
  }
  return Damaged("is cut off");
}

absl::Status PickleMachine::Text(Kind kind, uint64_t size) {
  std::string_view text;
  if (!reader_.Take(size, text)) {
    return Damaged(
        fmt::format("has a string of {} bytes, but {} are left", size, reader_.remaining()));
  }
  return Make(kind, 0, text);
}

absl::Status PickleMachine::StepContainer(uint8_t opcode) {
  std::vector<PickleId> added;
  switch (opcode) {
    case kEmptyTuple:
      return Tuple(0);
    case kTuple1:
      return Tuple(1);
    case kTuple2:
      return Tuple(2);
    case kTuple3:
      return Tuple(3);
    case kTuple:
      return FromMark(Kind::kTuple);
    case kEmptyList:
      return MakeItems(Kind::kList, {});
    case kList:
      return FromMark(Kind::kList);
    case kEmptyDict:
      return MakeItems(Kind::kDict, {});
    case kDict:
      return FromMark(Kind::kDict);
    case kAppend:
      if (!Pop(1, added)) return Damaged("takes from an empty stack");
      return Append(std::move(added), Kind::kList);
    case kSetItem:
      if (!Pop(2, added)) return Damaged("takes from an empty stack");
      return Append(std::move(added), Kind::kDict);
    case kAppends:
      if (!PopToMark(added)) return Damaged("lacks a mark");
      return Append(std::move(added), Kind::kList);
    case kSetItems:
      if (!PopToMark(added)) return Damaged("lacks a mark");
      return Append(std::move(added), Kind::kDict);
    default:
      break;
  }
  return Damaged("has an unknown opcode");
}

absl::Status PickleMachine::Tuple(size_t size) {
  std::vector<PickleId> items;
  if (!Pop(size, items)) return Damaged("takes from an empty stack");
  return MakeItems(Kind::kTuple, std::move(items));
}

absl::Status PickleMachine::FromMark(Kind kind) {
  std::vector<PickleId> items;
  if (!PopToMark(items)) return Damaged("lacks a mark");
  if (kind == Kind::kDict && items.size() % 2 != 0) return Damaged("has a key without a value");
  return MakeItems(kind, std::move(items));
}

absl::Status PickleMachine::Append(std::vector<PickleId> added, Kind kind) {
  if (stack_.size() == Floor()) return Damaged("takes from an empty stack");
  const PickleValue& container = pickle_.at(stack_.back());
  if (container.kind != kind) {
    return Damaged(fmt::format("adds items to {}", Describe(container.kind)));
  }
  if (kind == Kind::kDict && added.size() % 2 != 0) return Damaged("has a key without a value");
  MANAKO_RETURN_IF_ERROR(CountItems(added.size()));
  std::vector<PickleId>& items = pickle_.items_[container.items];
  items.insert(items.end(), added.begin(), added.end());
  return absl::OkStatus();
}

absl::Status PickleMachine::StepMemo(uint8_t opcode) {
  std::string_view line;
  uint8_t byte = 0;
  uint32_t word = 0;
  switch (opcode) {
    case kMemoize:
      return Put(memo_.size());
    case kBinPut:
      return reader_.Take(byte) ? Put(byte) : Damaged("is cut off");
    case kLongBinPut:
      return reader_.Take(word) ? Put(word) : Damaged("is cut off");
    case kBinGet:
      return reader_.Take(byte) ? Get(byte) : Damaged("is cut off");
    case kLongBinGet:
      return reader_.Take(word) ? Get(word) : Damaged("is cut off");
    case kPutText:
    case kGetText:
      if (!reader_.TakeLine(line) || !ParseWhole(line, word)) break;
      return opcode == kPutText ? Put(word) : Get(word);
    default:
      break;
  }
  return Damaged("has a memo place that is not a number");
}

absl::Status PickleMachine::Put(uint64_t place) {
  if (stack_.size() == Floor()) return Damaged("takes from an empty stack");
  if (place > memo_.size() + kMaxMemoGap) {
    return Damaged(fmt::format("jumps to memo place {} after {}", place, memo_.size()));
  }
  if (place >= options_.max_values) return TooMany("memo places");
  if (place >= memo_.size()) memo_.resize(place + 1, kNothing);
  memo_[place] = stack_.back();
  return absl::OkStatus();
}

absl::Status PickleMachine::Get(uint64_t place) {
  if (place >= memo_.size() || memo_[place] == kNothing) {
    return Damaged(fmt::format("asks for memo place {}, which is empty", place));
  }
  return Push(memo_[place]);
}

absl::Status PickleMachine::StepObject(uint8_t opcode) {
  std::vector<PickleId> taken;
  switch (opcode) {
    case kGlobal:
    case kInst: {
      std::string_view module, name;
      if (!reader_.TakeLine(module) || !reader_.TakeLine(name)) return Damaged("is cut off");
      MANAKO_RETURN_IF_ERROR(Global(module, name));
      // By now the name is a harmless one, but no harmless one is made in this way.
      return opcode == kGlobal ? absl::OkStatus() : Damaged("has the opcode INST");
    }
    case kStackGlobal:
      if (!Pop(2, taken) || pickle_.at(taken[0]).kind != Kind::kString ||
          pickle_.at(taken[1]).kind != Kind::kString) {
        return Damaged("has a global without a name");
      }
      return Global(pickle_.at(taken[0]).text, pickle_.at(taken[1]).text);
    case kReduce:
      return Reduce();
    case kBinPersId:
      if (!Pop(1, taken)) return Damaged("takes from an empty stack");
      return MakeItems(Kind::kPersistent, std::move(taken));
    case kBuild:
      if (!Pop(1, taken) || stack_.size() == Floor()) return Damaged("takes from an empty stack");
      // What OrderedDict has besides its items; of torch's state dicts, the modules' versions.
      if (pickle_.at(stack_.back()).kind == Kind::kDict &&
          pickle_.at(taken[0]).kind == Kind::kDict) {
        return absl::OkStatus();
      }
      return Damaged(
          fmt::format("sets the attributes of {}", Describe(pickle_.at(stack_.back()).kind)));
    default:
      break;
  }
  return Damaged("has an unknown opcode");
}

absl::Status PickleMachine::Global(std::string_view module, std::string_view name) {
  for (const std::string_view allowed : options_.globals) {
    if (allowed.size() == module.size() + 1 + name.size() && allowed.starts_with(module) &&
        allowed[module.size()] == '.' && allowed.ends_with(name)) {
      return Make(Kind::kGlobal, 0, allowed);
    }
  }
  const std::string full = fmt::format("{}.{}", module.substr(0, 60), name.substr(0, 60));
  return Damaged(
      fmt::format("names the Python object {}, which has no place in a state dict (save "
                  "model.state_dict() alone)",
                  Quoted(full)));
}

absl::Status PickleMachine::Reduce() {
  std::vector<PickleId> call;
  if (!Pop(2, call)) return Damaged("takes from an empty stack");
  const PickleValue& function = pickle_.at(call[0]);
  const PickleValue& arguments = pickle_.at(call[1]);
  if (function.kind != Kind::kGlobal || arguments.kind != Kind::kTuple) {
    return Damaged(
        fmt::format("calls {} with {}", Describe(function.kind), Describe(arguments.kind)));
  }
  if (function.text == "collections.OrderedDict") return OrderedDict(arguments);
  return MakeItems(Kind::kCall, std::move(call));
}

// OrderedDict(), or Python 2's OrderedDict([[key, value], ...]).
absl::Status PickleMachine::OrderedDict(const PickleValue& arguments) {
  const std::span<const PickleId> given = pickle_.items(arguments);
  if (given.empty()) return MakeItems(Kind::kDict, {});
  const PickleValue& pairs = pickle_.at(given[0]);
  if (given.size() != 1 || pairs.kind != Kind::kList) {
    return Damaged("makes an OrderedDict of something other than a list");
  }
  // Counted before they are copied: the same list can be asked for again and again.
  MANAKO_RETURN_IF_ERROR(CountItems(pickle_.items(pairs).size()));
  std::vector<PickleId> items;
  for (const PickleId id : pickle_.items(pairs)) {
    const PickleValue& pair = pickle_.at(id);
    if ((pair.kind != Kind::kList && pair.kind != Kind::kTuple) ||
        pickle_.items(pair).size() != 2) {
      return Damaged("makes an OrderedDict of something other than pairs");
    }
    items.push_back(pickle_.items(pair)[0]);
    items.push_back(pickle_.items(pair)[1]);
  }
  return MakeItems(Kind::kDict, std::move(items));
}

absl::Status PickleMachine::Make(Kind kind, int64_t integer, std::string_view text) {
  if (pickle_.values_.size() >= options_.max_values) return TooMany("values");
  pickle_.values_.push_back({.kind = kind, .integer = integer, .text = text});
  return Push(static_cast<PickleId>(pickle_.values_.size() - 1));
}

absl::Status PickleMachine::MakeItems(Kind kind, std::vector<PickleId> items) {
  MANAKO_RETURN_IF_ERROR(CountItems(items.size()));
  MANAKO_RETURN_IF_ERROR(Make(kind));
  pickle_.values_.back().items = static_cast<uint32_t>(pickle_.items_.size());
  pickle_.items_.push_back(std::move(items));
  return absl::OkStatus();
}

absl::Status PickleMachine::Push(PickleId id) {
  if (stack_.size() >= options_.max_values) return TooMany("values on the stack");
  stack_.push_back(id);
  return absl::OkStatus();
}

bool PickleMachine::Pop(PickleId& id) {
  if (stack_.size() == Floor()) return false;
  id = stack_.back();
  stack_.pop_back();
  return true;
}

bool PickleMachine::Pop(size_t count, std::vector<PickleId>& ids) {
  if (stack_.size() - Floor() < count) return false;
  ids.assign(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return true;
}

bool PickleMachine::PopToMark(std::vector<PickleId>& ids) {
  if (marks_.empty()) return false;
  Pop(stack_.size() - marks_.back(), ids);
  marks_.pop_back();
  return true;
}

absl::Status PickleMachine::CountItems(size_t count) {
  item_count_ += count;
  return item_count_ > options_.max_values ? TooMany("items") : absl::OkStatus();
}

absl::Status PickleMachine::Damaged(std::string_view what) const {
  return InvalidArgument("pickle {} (byte {})", what, opcode_at_);
}

absl::Status PickleMachine::TooMany(std::string_view what) const {
  return ResourceExhausted("pickle has more than {} {} (byte {})", options_.max_values, what,
                           opcode_at_);
}

}  // namespace manako
