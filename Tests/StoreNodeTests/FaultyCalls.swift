import Foundation
import Glibc
import Testing

/// A library that is loaded before a node's program, and lets its calls of the system fail: syncs that are
/// refused or take long, and a wall clock that jumps. (The kernel's own ways to provoke a failed sync,
/// dm-error and fault injection, are not everywhere.)
final class FaultyCalls {
  private let control: Int32

  /// For `ProcessCell`: what the node's environment has to have.
  let environment: [String: String]

  static var isPossible: Bool { compiler != nil }

  private static let compiler =
    ["/usr/bin/cc", "/usr/bin/clang"].first {
      FileManager.default.fileExists(atPath: $0)
    }
    ?? ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map { "\($0)/clang" }
    .first { FileManager.default.fileExists(atPath: $0) }

  init(in directory: TemporaryDirectory, _ name: String = "calls") throws {
    let base = directory.path + "/" + name
    try Data(Self.source.utf8).write(to: URL(fileURLWithPath: base + ".c"))
    let compile = Process()
    compile.executableURL = URL(fileURLWithPath: try #require(Self.compiler))
    compile.arguments = ["-shared", "-fPIC", "-O1", "-o", base + ".so", base + ".c"]
    try compile.run()
    compile.waitUntilExit()
    try #require(compile.terminationStatus == 0, "the library is compiled")
    control = open(base, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    try #require(control >= 0)
    environment = ["LD_PRELOAD": base + ".so", "HOTRACK_TEST_CONTROL": base]
    set()
  }

  deinit { close(control) }

  /// From now on: seconds that the wall clock is ahead, whether syncs fail, and milliseconds that each
  /// takes longer.
  func set(clock seconds: Int64 = 0, syncsFail: Bool = false, syncDelay: Int64 = 0) {
    let words = [seconds, syncsFail ? 1 : 0, syncDelay]
    words.withUnsafeBytes { _ = pwrite(control, $0.baseAddress, $0.count, 0) }
  }

  private static let source = """
    #define _GNU_SOURCE
    #include <errno.h>
    #include <fcntl.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    static const volatile int64_t *control;

    __attribute__((constructor)) static void begin(void) {
      const char *path = getenv("HOTRACK_TEST_CONTROL");
      int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
      void *memory = file < 0 ? MAP_FAILED : mmap(NULL, 24, PROT_READ, MAP_SHARED, file, 0);
      if (memory == MAP_FAILED)
        _exit(99);
      control = memory;
      close(file);
    }

    int clock_gettime(clockid_t clock, struct timespec *now) {
      int result = syscall(SYS_clock_gettime, clock, now);
      if (!result && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += control[0];
      return result;
    }

    time_t time(time_t *where) {
      struct timespec now;
      clock_gettime(CLOCK_REALTIME, &now);
      if (where)
        *where = now.tv_sec;
      return now.tv_sec;
    }

    int gettimeofday(struct timeval *restrict now, void *restrict zone) {
      int result = syscall(SYS_gettimeofday, now, zone);
      if (!result && now && control)
        now->tv_sec += control[0];
      return result;
    }

    int fdatasync(int file) {
      if (control && control[2])
        usleep(control[2] * 1000);
      if (control && control[1]) {
        errno = EIO;
        return -1;
      }
      return syscall(SYS_fdatasync, file);
    }
    """
}

/// A small file system, which only its own mount namespace sees.
final class SmallDisk {
  private let holder = Process()
  private let path: String

  static var isPossible: Bool {
    geteuid() == 0
      && ["/usr/bin/unshare", "/usr/bin/nsenter"].allSatisfy(FileManager.default.fileExists)
  }

  init(at path: String, megabytes: Int) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    holder.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    holder.arguments = [
      "--mount", "sh", "-c",
      "mount -t tmpfs -o size=\(megabytes)m none '\(path)' && echo mounted && exec sleep 170",
    ]
    let output = Pipe()
    holder.standardOutput = output
    try holder.run()
    try #require(!output.fileHandleForReading.availableData.isEmpty, "the disk is mounted")
  }

  deinit {
    kill(holder.processIdentifier, SIGKILL)
    holder.waitUntilExit()
  }

  /// What runs a program so that it sees the disk.
  var launcher: [String] {
    ["nsenter", "--target", "\(holder.processIdentifier)", "--mount", "--"]
  }

  private var filler: String { "/proc/\(holder.processIdentifier)/root\(path)/filler" }

  /// Leaves no room at all.
  func fill() throws {
    let file = open(filler, O_WRONLY | O_CREAT, 0o644)
    try #require(file >= 0)
    defer { close(file) }
    for length in [65_536, 1] {
      let bytes = [UInt8](repeating: 1, count: length)
      while write(file, bytes, length) == length {}
    }
    #expect(errno == ENOSPC)
  }

  func clear() throws { try FileManager.default.removeItem(atPath: filler) }
}
