/// Why a log cannot be opened or written.
public enum SegmentLogError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is there is not what was written. Whoever counts on the log's records must not go on as
  /// if nothing had happened.
  case damaged(String)
  /// The log is that of another node or cell.
  case foreign(SegmentLog.Identity)
  /// Nothing more fits on the disk. What was written before is as it was.
  case full(FileError)
  /// The system has failed. After a failed write or sync nobody knows what is durable: the process
  /// must end, and find out when it starts again.
  case failed(FileError)

  init(_ error: FileError) { self = error.reason == .noSpace ? .full(error) : .failed(error) }

  public var description: String {
    switch self {
    case .damaged(let reason): "the log of votes is damaged: \(reason)"
    case .foreign(let identity):
      "the log of votes belongs to node \(identity.node) of cell \(identity.cell): "
        + "check the data directory in the configuration"
    case .full(let error): "the disk is full: \(error)"
    case .failed(let error): "\(error)"
    }
  }
}
