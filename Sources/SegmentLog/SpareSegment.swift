internal import Synchronization

/// A segment that is made before it is needed, since zeroing it takes a while. Thread-safe.
final class SpareSegment: Sendable {
  private enum State {
    case none
    case underWay
    case ready(any File)
    case failed(FileError)
  }

  let path: String
  private let length: Int
  private let files: any FileSystem
  private let state = Mutex(State.none)

  init(_ settings: SegmentLog.Settings, _ files: any FileSystem) {
    path = settings.directory + "/spare"
    length = settings.segmentLength
    self.files = files
  }

  /// Whether the last attempt has found no room.
  var isSpaceLow: Bool {
    state.withLock { state in
      if case .failed(let error) = state { error.reason == .noSpace } else { false }
    }
  }

  /// True: nobody is at it, and `make` is to be called.
  func begin() -> Bool {
    state.withLock { state in
      switch state {
      case .none, .failed:
        state = .underWay
        return true
      case .underWay, .ready: return false
      }
    }
  }

  func make() {
    do {
      let file = try Self.make(path, length: length, files)
      state.withLock { $0 = .ready(file) }
    } catch {
      // What was written of it only takes room.
      try? files.remove(path)
      state.withLock { $0 = .failed(error) }
    }
  }

  /// The spare, if it is ready; it is the caller's from now on.
  func take() -> (any File)? {
    state.withLock { state in
      guard case .ready(let file) = state else { return nil }
      state = .none
      return file
    }
  }

  /// A file of zeros, all of which has its place on the disk.
  static func make(
    _ path: String, length: Int, _ files: any FileSystem
  ) throws(FileError) -> any File {
    let file = try files.open(path, creating: true)
    let zeros = [UInt8](repeating: 0, count: min(length, 1 << 20))
    var done = 0
    while done < length {
      try zeros.withUnsafeBufferPointer { bytes throws(FileError) in
        try file.write(
          UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes.prefix(length - done))),
          at: done)
      }
      done += zeros.count
    }
    try file.sync()
    return file
  }
}
