#include "learn/import/pickle.h"

#include "learn/import/pickle_machine.h"

namespace manako {

absl::StatusOr<Pickle> Pickle::Read(ByteReader& reader, const PickleOptions& options) {
  return PickleMachine(reader, options).Run();
}

std::string_view Describe(PickleValue::Kind kind) {
  switch (kind) {
    case PickleValue::Kind::kNone:
      return "None";
    case PickleValue::Kind::kBool:
      return "a boolean";
    case PickleValue::Kind::kInt:
    case PickleValue::Kind::kBigInt:
      return "an integer";
    case PickleValue::Kind::kFloat:
      return "a float";
    case PickleValue::Kind::kString:
      return "a string";
    case PickleValue::Kind::kBytes:
      return "bytes";
    case PickleValue::Kind::kTuple:
      return "a tuple";
    case PickleValue::Kind::kList:
      return "a list";
    case PickleValue::Kind::kDict:
      return "a dictionary";
    case PickleValue::Kind::kGlobal:
      return "a class or function";
    case PickleValue::Kind::kCall:
      return "a rebuilt object";
    case PickleValue::Kind::kPersistent:
      return "a storage";
  }
  return "an unknown value";
}

}  // namespace manako
