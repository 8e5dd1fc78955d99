#include <memory>
#include <string>

#include "apps/manako/commands.h"
#include "apps/manako/write_report.h"

namespace manako {

void AddReportCommand(CLI::App& app, int* exit_code) {
  auto folder = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("report", "Write the report of a run folder (again)");
  command->add_option("run", *folder, "The run folder")->required();
  command->footer("Example: manako report runs/rd");
  command->callback([folder, exit_code] {
    if (const absl::Status status = WriteRunReport(*folder); !status.ok())
      *exit_code = ReportError(status);
  });
}

}  // namespace manako
