// The stack machine behind Pickle::Read().
#ifndef MANAKO_LEARN_IMPORT_PICKLE_MACHINE_H_
#define MANAKO_LEARN_IMPORT_PICKLE_MACHINE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/import/byte_reader.h"
#include "learn/import/pickle.h"

namespace manako {

// One use: Run() once. Every opcode takes at least one byte and makes at most one value, so the
// work is linear in the bytes, and options.max_values bounds the values, the stack, the memo and
// the items of all containers together.
class PickleMachine {
 public:
  PickleMachine(ByteReader& reader, const PickleOptions& options)
      : reader_(reader), options_(options) {}

  absl::StatusOr<Pickle> Run();

 private:
  using Kind = PickleValue::Kind;

  // Each runs one opcode of its group, whose byte has been read.
  absl::Status Step(uint8_t opcode);
  absl::Status StepScalar(uint8_t opcode);
  absl::Status StepText(uint8_t opcode);
  absl::Status StepContainer(uint8_t opcode);
  absl::Status StepMemo(uint8_t opcode);
  absl::Status StepObject(uint8_t opcode);

  absl::Status Integer(uint64_t bits) { return Make(Kind::kInt, static_cast<int64_t>(bits)); }
  absl::Status LongInteger(uint64_t size);
  absl::Status TextInteger(bool may_be_bool);
  absl::Status Text(Kind kind, uint64_t size);
  absl::Status QuotedText();
  absl::Status Tuple(size_t size);
  absl::Status FromMark(Kind kind);
  absl::Status Append(std::vector<PickleId> added, Kind kind);
  absl::Status Put(uint64_t place);
  absl::Status Get(uint64_t place);
  absl::Status Global(std::string_view module, std::string_view name);
  absl::Status Reduce();
  absl::Status OrderedDict(const PickleValue& arguments);

  absl::Status Make(Kind kind, int64_t integer = 0, std::string_view text = {});
  absl::Status MakeItems(Kind kind, std::vector<PickleId> items);
  absl::Status Push(PickleId id);
  // False when the stack has fewer above its last mark.
  bool Pop(PickleId& id);
  bool Pop(size_t count, std::vector<PickleId>& ids);
  bool PopToMark(std::vector<PickleId>& ids);
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }
  absl::Status CountItems(size_t count);

  absl::Status Damaged(std::string_view what) const;
  absl::Status TooMany(std::string_view what) const;

  ByteReader& reader_;
  const PickleOptions& options_;
  Pickle pickle_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::vector<PickleId> memo_;
  size_t item_count_ = 0;
  size_t opcode_at_ = 0;
};

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_PICKLE_MACHINE_H_
