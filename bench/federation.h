// What the benchmarks of the federation share: a central hospital's folder with sites that have
// joined, and processes.
#ifndef MANAKO_BENCH_FEDERATION_H_
#define MANAKO_BENCH_FEDERATION_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "core/codec/array_encoding.h"
#include "core/model_spec.h"
#include "server/enrolment.h"
#include "server/federation_store.h"

namespace manako::bench {

int64_t NowMs();
double Seconds();  // of a clock that is never set
double Median(std::vector<double> values);
double Rounded(double value);  // to thousandths, as the benchmarks print

// What the command line says, "--name value" each, into the places of these names.
using FlagPlaces = std::map<std::string, std::variant<int*, int64_t*, std::string*>>;
absl::Status ParseFlags(int argc, char** argv, const FlagPlaces& places);
int ExitCode(const absl::Status& status);  // 0; or 1, and its message is printed

// A line of /proc/PID/status in kB (VmHWM, VmRSS, RssAnon); 0: there is no such process.
int64_t StatusKb(pid_t pid, const std::string& field);
double ProcessorSeconds(pid_t pid);  // used so far, user and system

// Starts a program; it dies with this one. Its output goes to `log`.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command, const std::string& log);
void Kill(pid_t pid);

int FreePort();
// Waits until something listens at the port of this machine.
absl::Status AwaitPort(int port);

std::shared_ptr<const ModelSpec> SpecOf(int64_t elements);

struct Central {
  std::string folder;
  int port = 0;
  std::unique_ptr<FederationStore> store;
  std::unique_ptr<Enrolment> enrolment;
};
absl::StatusOr<Central> MakeCentralFolder(const std::string& folder);
// A site's folder with key and certificates, made here: without a call to the server.
absl::Status MakeSiteFolder(Central& central, const std::string& site, const std::string& folder);

struct RunShape {
  std::string id = "bench";
  int64_t elements = 0;
  int rounds = 1;
  ArrayEncoding encoding = ArrayEncoding::kFloat32;
};
// A run for all that have joined, as a person would have made and started it; ring the server then.
absl::Status StartRun(Central& central, const RunShape& shape);

}  // namespace manako::bench

#endif  // MANAKO_BENCH_FEDERATION_H_
