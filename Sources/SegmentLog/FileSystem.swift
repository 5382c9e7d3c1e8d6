/// The files that a log of votes needs: a directory with a few files of fixed length. The system's
/// own are `LocalFiles`; tests have some that fail on purpose.
public protocol FileSystem: Sendable {
  /// Makes a directory, with those above it, if it is not there.
  func makeDirectory(_ path: String) throws(FileError)
  /// What a directory contains, in no particular order.
  func names(in directory: String) throws(FileError) -> [String]
  /// Opens a file for reading and writing. `creating`: makes it, or empties it if it is there.
  func open(_ path: String, creating: Bool) throws(FileError) -> any File
  /// A file that has the new name is replaced.
  func rename(_ path: String, to newPath: String) throws(FileError)
  func remove(_ path: String) throws(FileError)
  /// Makes names durable that were given or taken in a directory.
  func syncDirectory(_ path: String) throws(FileError)
}

/// An open file. Closed when it goes.
public protocol File: AnyObject, Sendable {
  func length() throws(FileError) -> Int
  /// Fills the buffer as far as the file goes; returns how far.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError)
  /// Waits until what was written is durable. After an error nobody knows what is: the kernel may
  /// have dropped what it could not write, and says so once.
  func sync() throws(FileError)
}

/// Why a file cannot be had, read or written.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Reason: Sendable, Equatable {
    case noSpace
    case notFound
    case other
  }

  public var reason: Reason
  /// What was to be done, with the path, as "write /var/lib/...".
  public var doing: String
  /// The system's words.
  public var words: String

  public init(_ reason: Reason, doing: String, words: String) {
    self.reason = reason
    self.doing = doing
    self.words = words
  }

  public var description: String { "cannot \(doing): \(words)" }
}
