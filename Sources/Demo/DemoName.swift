internal import Glibc
internal import Testbed

/// The name of a demonstration's testbed, which nobody else has while this exists.
///
/// The first demonstration gets `demo`: it holds a lock on a file that the kernel releases whatever
/// ends the process, so that what a killed demonstration has left behind can be told from one that
/// runs, and from a testbed that somebody has named `demo`. Any other gets `demo-` and its process.
final class DemoName {
  let name: String
  private let lock: Int32?

  private static let folder = "/run/hotrack"
  private static let path = "\(folder)/demo.lock"

  /// Removes what killed demonstrations have left behind.
  init() throws(TestbedError) {
    try Self.removeOrphans()
    mkdir(Self.folder, 0o755)
    guard let lock = Self.takeLock() else {
      name = "demo-\(getpid())"
      self.lock = nil
      return
    }
    do throws(TestbedError) {
      var status = stat()
      fstat(lock, &status)
      let exists = Testbed.names().contains("demo")
      // A byte says that the testbed `demo` is (or was about to be) that of a demonstration.
      if exists, status.st_size > 0 { try Testbed.down(name: "demo") }
      if exists, status.st_size == 0 {
        name = "demo-\(getpid())"
        self.lock = nil
        unlink(Self.path)
        close(lock)
        return
      }
      write(lock, "1", 1)
      name = "demo"
      self.lock = lock
    } catch {
      close(lock)
      throw error
    }
  }

  /// Gives the name up; to be called when its testbed is gone.
  func release() {
    guard let lock else { return }
    unlink(Self.path)
    close(lock)
  }

  /// Nil: another demonstration runs.
  private static func takeLock() -> Int32? {
    while true {
      let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard file >= 0 else { return nil }
      guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
        close(file)
        return nil
      }
      // The one who held it may have removed the file since we have opened it.
      var (ours, current) = (stat(), stat())
      fstat(file, &ours)
      if stat(path, &current) == 0, ours.st_ino == current.st_ino { return file }
      close(file)
    }
  }

  /// Testbeds named after a process that is gone.
  private static func removeOrphans() throws(TestbedError) {
    for name in Testbed.names() where name.hasPrefix("demo-") {
      guard let process = Int32(name.dropFirst(5)), process > 0, kill(process, 0) != 0,
        errno == ESRCH
      else { continue }
      try Testbed.down(name: name)
    }
  }
}
