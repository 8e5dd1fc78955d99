// SQLite, so that what was committed is there after kill -9 and power loss, and nothing else is.
//
// Errors name the file and SQLite's reason: a full disk is ResourceExhausted; a damaged file, or
// one that is no database, DataLoss; one that another process keeps locked Unavailable; a row that
// breaks UNIQUE or PRIMARY KEY AlreadyExists, any other constraint FailedPrecondition; wrong SQL
// Internal.
#ifndef MANAKO_BASE_DATABASE_H_
#define MANAKO_BASE_DATABASE_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"

struct sqlite3;
struct sqlite3_stmt;

namespace manako {

// Bytes rather than text, where a value is bound.
struct Blob {
  std::string_view bytes;
};

// A prepared statement. Parameters are ?1, ?2, ...; columns count from 0. Use it like this:
//
//   MANAKO_ASSIGN_OR_RETURN(Statement sites, database->Prepare("SELECT name, rounds FROM sites
//   WHERE state = ?1", "active")); while (true) {
//     MANAKO_ASSIGN_OR_RETURN(const bool row, sites.Step());
//     if (!row) break;
//     Use(sites.Text(0), sites.Int(1));
//   }
//
// It may be kept and bound again. One that stands on a row keeps the database's old content alive:
// Reset() it when you leave a loop early and keep the statement.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Starts anew with these values, one for each parameter. A std::optional without value and
  // nullptr are NULL. The values are copied. Internal when there are more or fewer parameters.
  template <typename... Values>
  absl::Status Bind(const Values&... values) {
    MANAKO_RETURN_IF_ERROR(StartBinding(sizeof...(values)));
    int index = 0;
    absl::Status status;
    ((status.ok() ? void(status = BindOne(++index, values)) : void()), ...);
    return status;
  }

  // The next row: true when there is one. After the last (and after an error) the statement is
  // reset.
  absl::StatusOr<bool> Step();
  // Runs to the end; rows are dropped.
  absl::Status Run();
  void Reset();

  // The row's values. Tables are made STRICT, so that a column holds the type that it was declared
  // with; NULL gives 0 or "".
  int columns() const;
  bool IsNull(int column) const;
  int64_t Int(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;
  std::string Bytes(int column) const;

 private:
  friend class Database;
  Statement(sqlite3_stmt* statement, std::shared_ptr<const std::string> path)
      : statement_(statement), path_(std::move(path)) {}

  absl::Status StartBinding(size_t count);
  absl::Status BindInt(int index, int64_t value);
  absl::Status BindReal(int index, double value);
  absl::Status BindText(int index, std::string_view value);
  absl::Status BindBlob(int index, std::string_view value);
  absl::Status BindNull(int index);

  template <std::integral T>
  absl::Status BindOne(int index, T value) {
    if (!std::in_range<int64_t>(value)) {
      return InvalidArgument("{}: {} is larger than a database can hold", *path_, value);
    }
    return BindInt(index, static_cast<int64_t>(value));
  }
  absl::Status BindOne(int index, bool value) { return BindInt(index, value); }
  absl::Status BindOne(int index, double value) { return BindReal(index, value); }
  absl::Status BindOne(int index, std::string_view value) { return BindText(index, value); }
  absl::Status BindOne(int index, const std::string& value) { return BindText(index, value); }
  absl::Status BindOne(int index, const char* value) { return BindText(index, value); }
  absl::Status BindOne(int index, Blob value) { return BindBlob(index, value.bytes); }
  absl::Status BindOne(int index, std::nullptr_t) { return BindNull(index); }
  template <typename T>
  absl::Status BindOne(int index, const std::optional<T>& value) {
    return value.has_value() ? BindOne(index, *value) : BindNull(index);
  }

  sqlite3_stmt* statement_;
  std::shared_ptr<const std::string> path_;
};

struct DatabaseOptions {
  // How long a statement waits for another process's lock before it is Unavailable.
  int busy_timeout_ms = 5000;
  // 0: no limit. A limit makes the database ResourceExhausted as a full disk would.
  int64_t max_pages = 0;
};

// One connection. Not thread-safe, except Backup(): the owner's lock is held while it and its
// statements are used.
class Database {
 public:
  // Opens the file, or makes it (readable by its owner alone: it holds hashes of passwords and
  // tokens), in WAL mode with synchronous=FULL and foreign keys, checks every page (quick_check),
  // and brings the schema up to date: `steps[i]` is SQL that takes a database of version i to i +
  // 1, each in a transaction of its own. Steps are only ever appended. FailedPrecondition when the
  // file is of a newer version than there are steps, or when its disk cannot do WAL (a network
  // share).
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        std::span<const std::string_view> steps,
                                                        const DatabaseOptions& options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // One statement, with its values if it has parameters. It must not outlive the database.
  template <typename... Values>
  absl::StatusOr<Statement> Prepare(std::string_view sql, const Values&... values) {
    MANAKO_ASSIGN_OR_RETURN(Statement statement, PrepareOnly(sql));
    if constexpr (sizeof...(values) > 0) MANAKO_RETURN_IF_ERROR(statement.Bind(values...));
    return statement;
  }
  // Prepares, binds and runs one statement.
  template <typename... Values>
  absl::Status Run(std::string_view sql, const Values&... values) {
    MANAKO_ASSIGN_OR_RETURN(Statement statement, Prepare(sql, values...));
    return statement.Run();
  }
  // The first column of the first row. NotFound when there is no row.
  template <typename... Values>
  absl::StatusOr<int64_t> GetInt(std::string_view sql, const Values&... values) {
    MANAKO_ASSIGN_OR_RETURN(Statement statement, Prepare(sql, values...));
    MANAKO_RETURN_IF_ERROR(NeedRow(statement, sql));
    return statement.Int(0);
  }
  template <typename... Values>
  absl::StatusOr<std::string> GetText(std::string_view sql, const Values&... values) {
    MANAKO_ASSIGN_OR_RETURN(Statement statement, Prepare(sql, values...));
    MANAKO_RETURN_IF_ERROR(NeedRow(statement, sql));
    return statement.Text(0);
  }
  // Any number of statements without parameters.
  absl::Status RunScript(std::string_view sql);

  // Rows changed by the last INSERT, UPDATE or DELETE, and the rowid of the last INSERT.
  int64_t changes() const;
  int64_t last_rowid() const;
  const std::string& path() const { return *path_; }

  // Writes the content as of now, whole and checked, to another file, which is replaced atomically.
  // It reads through a connection of its own: any thread may call it without the owner's lock, and
  // writers go on meanwhile.
  absl::Status Backup(const std::string& to) const;
  // The same, of one moment: `at_that_moment` is called while no process can write to the database,
  // so that what it sees elsewhere fits the copy. It must be quick; its error is given back.
  absl::Status Backup(const std::string& to,
                      const std::function<absl::Status()>& at_that_moment) const;

 private:
  friend class Transaction;
  Database(sqlite3* db, std::shared_ptr<const std::string> path)
      : db_(db), path_(std::move(path)) {}
  static absl::StatusOr<std::unique_ptr<Database>> Connect(const std::string& path, int flags);
  absl::StatusOr<Statement> PrepareOnly(std::string_view sql);
  absl::Status NeedRow(Statement& statement, std::string_view sql);
  absl::Status QuickCheck();
  absl::Status Migrate(std::span<const std::string_view> steps);

  sqlite3* db_;
  std::shared_ptr<const std::string> path_;
};

// Everything between Begin() and Commit() or nothing. Without Commit() the destructor rolls back;
// so does an error at Commit(). One at a time on a connection (Internal otherwise).
class Transaction {
 public:
  // Takes the write lock at once, so that no statement within can find the database busy.
  static absl::StatusOr<Transaction> Begin(Database* database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // Ok once it is on the disk.
  absl::Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

}  // namespace manako

#endif  // MANAKO_BASE_DATABASE_H_
