#include "base/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/files.h"
#include "base/system_error.h"

namespace manako {
namespace {

constexpr char kRestore[] =
    "stop every manako that uses it, move it and its -wal and -shm files away, and put the last "
    "backup in its place";

absl::Status SqliteError(sqlite3* db, int code, std::string_view path, std::string_view doing) {
  const int system_error = db != nullptr ? sqlite3_system_errno(db) : 0;
  std::string text = fmt::format("{}: {}: {}", path, doing,
                                 db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code));
  // The connection may already speak of another error than this one.
  if (db == nullptr || sqlite3_errcode(db) == SQLITE_OK) {
    text = fmt::format("{}: {}: {}", path, doing, sqlite3_errstr(code));
  }
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(text + " (free some space, then go on)");
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::ResourceExhaustedError(text);
    case SQLITE_CORRUPT:
      return DataLoss("{} ({})", text, kRestore);
    case SQLITE_NOTADB:
      return DataLoss("{} (if it was one: {})", text, kRestore);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(text + " (another process uses it: wait for it, or end it)");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(text);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      if (system_error != 0) text += fmt::format(" ({})", std::strerror(system_error));
      if (system_error == ENOENT) return absl::NotFoundError(text);
      if (system_error == EACCES || system_error == EPERM || system_error == EROFS) {
        return absl::PermissionDeniedError(text);
      }
      if (system_error == ENOSPC || system_error == EDQUOT) {
        return absl::ResourceExhaustedError(text + " (free some space, then go on)");
      }
      return absl::UnavailableError(text);
    case SQLITE_CONSTRAINT:
      if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
          code == SQLITE_CONSTRAINT_ROWID) {
        return absl::AlreadyExistsError(text);
      }
      return absl::FailedPreconditionError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::Status SyncFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool ok = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!ok)
    return absl::UnavailableError(fmt::format("cannot sync {}: {}", path, std::strerror(error)));
  return absl::OkStatus();
}

// SQLite makes files that others may read; its -wal and -shm files take the permissions of the
// database.
absl::Status MakePrivateFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd >= 0) {
    ::close(fd);
    return absl::OkStatus();
  }
  return FileError(errno, fmt::format("cannot open database {}", path),
                   absl::StatusCode::kFailedPrecondition);
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), path_(other.path_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  std::swap(path_, other.path_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

absl::Status Statement::StartBinding(size_t count) {
  Reset();
  const int wanted = sqlite3_bind_parameter_count(statement_);
  if (static_cast<size_t>(wanted) != count) {
    return Internal("{}: {} values for {} parameters: {}", *path_, count, wanted,
                    sqlite3_sql(statement_));
  }
  return absl::OkStatus();
}

absl::Status Statement::BindInt(int index, int64_t value) {
  const int code = sqlite3_bind_int64(statement_, index, value);
  if (code != SQLITE_OK) return SqliteError(nullptr, code, *path_, "cannot bind a value");
  return absl::OkStatus();
}

absl::Status Statement::BindReal(int index, double value) {
  const int code = sqlite3_bind_double(statement_, index, value);
  if (code != SQLITE_OK) return SqliteError(nullptr, code, *path_, "cannot bind a value");
  return absl::OkStatus();
}

absl::Status Statement::BindText(int index, std::string_view value) {
  // A view of nothing may have no address, which SQLite would take for NULL.
  const char* text = value.data() != nullptr ? value.data() : "";
  const int code =
      sqlite3_bind_text64(statement_, index, text, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) return SqliteError(nullptr, code, *path_, "cannot bind a value");
  return absl::OkStatus();
}

absl::Status Statement::BindBlob(int index, std::string_view value) {
  const char* bytes = value.data() != nullptr ? value.data() : "";
  const int code = sqlite3_bind_blob64(statement_, index, bytes, value.size(), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) return SqliteError(nullptr, code, *path_, "cannot bind a value");
  return absl::OkStatus();
}

absl::Status Statement::BindNull(int index) {
  const int code = sqlite3_bind_null(statement_, index);
  if (code != SQLITE_OK) return SqliteError(nullptr, code, *path_, "cannot bind a value");
  return absl::OkStatus();
}

absl::StatusOr<bool> Statement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  absl::Status status;
  if (code != SQLITE_DONE) {
    sqlite3* db = sqlite3_db_handle(statement_);
    status = SqliteError(db, sqlite3_extended_errcode(db), *path_, sqlite3_sql(statement_));
  }
  Reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status Statement::Run() {
  while (true) {
    MANAKO_ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

// The error that it returns is that of the last step, told already.
void Statement::Reset() { sqlite3_reset(statement_); }

int Statement::columns() const { return sqlite3_column_count(statement_); }

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

double Statement::Real(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return "";
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string Statement::Bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return "";
  return {bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

absl::StatusOr<std::unique_ptr<Database>> Database::Connect(const std::string& path, int flags) {
  sqlite3* db = nullptr;
  // NOFOLLOW is not asked for: /var/lib may be a link to a larger disk. A path is a path, never an
  // URI with options.
  const int code = sqlite3_open_v2(path.c_str(), &db, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(db, std::make_shared<const std::string>(path)));
  if (code != SQLITE_OK) return SqliteError(db, code, path, "cannot open the database");
  sqlite3_extended_result_codes(db, 1);
  // A file that somebody else has written can run nothing through its schema.
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         std::span<const std::string_view> steps,
                                                         const DatabaseOptions& options) {
  MANAKO_RETURN_IF_ERROR(MakePrivateFile(path));
  MANAKO_ASSIGN_OR_RETURN(auto database, Connect(path, SQLITE_OPEN_READWRITE));
  sqlite3_busy_timeout(database->db_, options.busy_timeout_ms);
  MANAKO_RETURN_IF_ERROR(database->RunScript("PRAGMA cell_size_check = ON"));
  MANAKO_ASSIGN_OR_RETURN(const std::string mode, database->GetText("PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return FailedPrecondition(
        "{}: the disk cannot keep a write-ahead log (SQLite says \"{}\"): put the folder on a "
        "local disk, not on a "
        "network share",
        path, mode);
  }
  MANAKO_RETURN_IF_ERROR(
      database->RunScript("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"));
  MANAKO_RETURN_IF_ERROR(database->QuickCheck());
  if (options.max_pages > 0) {
    MANAKO_RETURN_IF_ERROR(
        database->RunScript(fmt::format("PRAGMA max_page_count = {}", options.max_pages)));
  }
  MANAKO_RETURN_IF_ERROR(database->Migrate(steps));
  return database;
}

// Statements that outlive the connection keep it in memory, unused, rather than being left to point
// nowhere.
Database::~Database() { sqlite3_close_v2(db_); }

absl::StatusOr<Statement> Database::PrepareOnly(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  const int code =
      sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &statement, &rest);
  Statement result(statement, path_);
  if (code != SQLITE_OK) return SqliteError(db_, code, *path_, sql);
  if (statement == nullptr || rest != sql.data() + sql.size()) {
    return Internal("{}: one statement was expected: {}", *path_, sql);
  }
  return result;
}

absl::Status Database::NeedRow(Statement& statement, std::string_view sql) {
  MANAKO_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return NotFound("{}: no row: {}", *path_, sql);
  return absl::OkStatus();
}

absl::Status Database::RunScript(std::string_view sql) {
  const int code = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return SqliteError(db_, code, *path_, sql);
  return absl::OkStatus();
}

int64_t Database::changes() const { return sqlite3_changes64(db_); }
int64_t Database::last_rowid() const { return sqlite3_last_insert_rowid(db_); }

absl::Status Database::QuickCheck() {
  MANAKO_ASSIGN_OR_RETURN(const std::string found, GetText("PRAGMA quick_check(1)"));
  if (found == "ok") return absl::OkStatus();
  return DataLoss("{}: the database is damaged: {} ({})", *path_, found.substr(0, found.find('\n')),
                  kRestore);
}

absl::Status Database::Migrate(std::span<const std::string_view> steps) {
  while (true) {
    MANAKO_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(this));
    // Read under the write lock: another process may be at the same.
    MANAKO_ASSIGN_OR_RETURN(const int64_t version, GetInt("PRAGMA user_version"));
    if (version < 0 || version > static_cast<int64_t>(steps.size())) {
      return FailedPrecondition(
          "{} is of version {}, but this manako knows only up to {}: use the newer manako that "
          "wrote it",
          *path_, version, steps.size());
    }
    if (version == static_cast<int64_t>(steps.size())) return absl::OkStatus();
    MANAKO_RETURN_IF_ERROR(
        Annotate(RunScript(steps[static_cast<size_t>(version)]),
                 fmt::format("bringing the database to version {}", version + 1)));
    MANAKO_RETURN_IF_ERROR(RunScript(fmt::format("PRAGMA user_version = {}", version + 1)));
    MANAKO_RETURN_IF_ERROR(transaction.Commit());
  }
}

absl::Status Database::Backup(const std::string& to) const { return Backup(to, nullptr); }

absl::Status Database::Backup(const std::string& to,
                              const std::function<absl::Status()>& at_that_moment) const {
  // The place is taken, private, by a file of an atomic writer: SQLite fills it, the writer puts it
  // under its name.
  MANAKO_ASSIGN_OR_RETURN(auto place, AtomicFileWriter::Create(to, 0600));
  const std::string& temporary = place->temporary_path();
  {
    MANAKO_ASSIGN_OR_RETURN(auto source, Connect(*path_, SQLITE_OPEN_READWRITE));
    sqlite3_busy_timeout(source->db_, 5000);
    if (at_that_moment) {
      // With the write lock taken by another connection, what this one begins to read is what is
      // there now, and stays what it reads.
      MANAKO_ASSIGN_OR_RETURN(auto still, Connect(*path_, SQLITE_OPEN_READWRITE));
      sqlite3_busy_timeout(still->db_, 5000);
      MANAKO_ASSIGN_OR_RETURN(const Transaction lock, Transaction::Begin(still.get()));
      MANAKO_RETURN_IF_ERROR(source->RunScript("BEGIN; SELECT count(*) FROM sqlite_schema"));
      MANAKO_RETURN_IF_ERROR(at_that_moment());
    }
    MANAKO_ASSIGN_OR_RETURN(auto copy, Connect(temporary, SQLITE_OPEN_READWRITE));
    // Nobody sees the copy before it is synced and renamed, so it needs no journal.
    MANAKO_RETURN_IF_ERROR(copy->RunScript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"));
    sqlite3_backup* backup = sqlite3_backup_init(copy->db_, "main", source->db_, "main");
    if (backup == nullptr) {
      return SqliteError(copy->db_, sqlite3_extended_errcode(copy->db_), to,
                         "cannot begin the backup");
    }
    // All at once: with a write-ahead log a reader sees one moment and hinders no writer.
    const int step = sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
    if (step != SQLITE_DONE) return SqliteError(copy->db_, step, to, "cannot back up");
  }
  {
    // In a connection of its own, which reads what was written. One file, not three, is what people
    // copy.
    MANAKO_ASSIGN_OR_RETURN(auto copy, Connect(temporary, SQLITE_OPEN_READWRITE));
    MANAKO_RETURN_IF_ERROR(copy->RunScript("PRAGMA journal_mode = DELETE"));
    MANAKO_RETURN_IF_ERROR(copy->QuickCheck());
  }
  MANAKO_RETURN_IF_ERROR(SyncFile(temporary));
  return place->Commit();
}

absl::StatusOr<Transaction> Transaction::Begin(Database* database) {
  MANAKO_RETURN_IF_ERROR(database->RunScript("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // After some errors (a full disk) SQLite has rolled back already.
  if (sqlite3_get_autocommit(database_->db_) == 0) database_->RunScript("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Commit() {
  MANAKO_RETURN_IF_ERROR(database_->RunScript("COMMIT"));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace manako
