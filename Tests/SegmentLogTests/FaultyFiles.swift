import Synchronization

@testable import SegmentLog

/// The system's files, some calls of which fail.
final class FaultyFiles: FileSystem {
  enum Call: Equatable { case write, sync, rename, create, syncDirectory, remove }

  struct Plan {
    /// Calls that change something are counted; from this one on all fail. Nil: none does.
    var failsAt: Int?
    var reason = FileError.Reason.other
    /// Only these fail; nil: all.
    var only: Call?
    var calls = 0
  }

  let plan = Mutex(Plan())
  private let local = LocalFiles()

  func fail(_ call: Call?, at number: Int?, _ reason: FileError.Reason = .other) {
    plan.withLock { $0 = Plan(failsAt: number, reason: reason, only: call) }
  }

  var calls: Int { plan.withLock { $0.calls } }

  func check(_ call: Call, _ doing: String) throws(FileError) {
    let reason: FileError.Reason? = plan.withLock { plan in
      guard plan.only == nil || plan.only == call else { return nil }
      plan.calls += 1
      return plan.failsAt.map { plan.calls >= $0 ? plan.reason : nil } ?? nil
    }
    if let reason { throw FileError(reason, doing: doing, words: "as planned") }
  }

  func makeDirectory(_ path: String) throws(FileError) { try local.makeDirectory(path) }
  func names(in directory: String) throws(FileError) -> [String] {
    try local.names(in: directory)
  }
  func open(_ path: String, creating: Bool) throws(FileError) -> any File {
    if creating { try check(.create, "create \(path)") }
    return FaultyFile(try local.open(path, creating: creating), self)
  }
  func rename(_ path: String, to newPath: String) throws(FileError) {
    try check(.rename, "rename \(path)")
    try local.rename(path, to: newPath)
  }
  func remove(_ path: String) throws(FileError) {
    try check(.remove, "remove \(path)")
    try local.remove(path)
  }
  func syncDirectory(_ path: String) throws(FileError) {
    try check(.syncDirectory, "sync \(path)")
    try local.syncDirectory(path)
  }
}

private final class FaultyFile: File {
  private let file: any File
  private let files: FaultyFiles

  init(_ file: any File, _ files: FaultyFiles) { (self.file, self.files) = (file, files) }

  func length() throws(FileError) -> Int { try file.length() }
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    try file.read(at: offset, into: buffer)
  }
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
    do throws(FileError) { try files.check(.write, "write") } catch {
      // A part of it may be written all the same.
      try file.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(512)), at: offset)
      throw error
    }
    try file.write(bytes, at: offset)
  }
  func sync() throws(FileError) {
    try files.check(.sync, "sync")
    try file.sync()
  }
}
