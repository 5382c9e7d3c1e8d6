import Foundation
import Glibc
import Logging

/// Where the log goes: standard error, in the form in which it is read there. The journal gets the
/// priority of each line in front of it (sd-daemon(3)), and no time, since it has its own.
enum LogOutput {
  /// Whether standard error is a stream of systemd's journal (systemd.exec(5), JOURNAL_STREAM).
  static let isJournal: Bool = {
    var status = stat()
    guard fstat(STDERR_FILENO, &status) == 0 else { return false }
    return names(
      ProcessInfo.processInfo.environment["JOURNAL_STREAM"], device: UInt64(status.st_dev),
      inode: UInt64(status.st_ino))
  }()

  /// `stream` names a device and an inode, as in "8:123456": whether it is this one.
  static func names(_ stream: String?, device: UInt64, inode: UInt64) -> Bool {
    let parts = stream?.split(separator: ":", omittingEmptySubsequences: false) ?? []
    return parts.count == 2 && UInt64(parts[0]) == device && UInt64(parts[1]) == inode
  }

  /// For `LoggingSystem` and `Logger`.
  static func handler(label: String) -> any LogHandler {
    isJournal ? JournalLog(label: label) : StreamLogHandler.standardError(label: label)
  }

  /// What says why the process ends: for the journal an error, each line of it.
  static func failure(_ text: String) -> String {
    guard isJournal else { return text }
    return text.split(separator: "\n").map { "<3>\($0)" }.joined(separator: "\n")
  }
}

/// Writes lines with the priority of syslog(3) in front.
struct JournalLog: LogHandler {
  let label: String
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]

  init(label: String) { self.label = label }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    let bytes = Data(
      Self.text(event.level, label: label, message: "\(event.message)", metadata: all).utf8)
    // One write, so that lines of several threads do not mix.
    bytes.withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  /// Every line of a message is one of the journal, and has the priority in front.
  static func text(
    _ level: Logger.Level, label: String, message: String, metadata: Logger.Metadata
  ) -> String {
    let facts = metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    return "\(label): \(message)\(facts)".split(separator: "\n", omittingEmptySubsequences: true)
      .map { "<\(priority(level))>\($0)\n" }.joined()
  }

  private static func priority(_ level: Logger.Level) -> Int {
    switch level {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
