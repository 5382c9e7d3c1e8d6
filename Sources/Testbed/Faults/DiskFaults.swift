internal import Configuration
internal import Foundation
internal import Glibc

/// Disks of durable servers that fill up, and files that are damaged.
extension Testbed {
  /// The data directory of a server.
  private func dataDirectory(_ target: Fault.Target) throws(TestbedError) -> String {
    guard case .server(let number) = target, let data = state.data else {
      throw .run("\(target) of \(name) has no data: its engine is not \"rocksdb\"")
    }
    return "\(data)/server-\(number)"
  }

  private func filler(_ target: Fault.Target) throws(TestbedError) -> String {
    "\(try dataDirectory(target))/filler"
  }

  /// Small disks for the servers' data, one for each.
  func mountDisks(_ data: String, megabytes: Int) throws(TestbedError) {
    for node in layout.servers {
      let path = "\(data)/server-\(node.number)"
      guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
        throw .system(doing: "create \(path)", code: errno, reason: reason(errno))
      }
      try run(["mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", Self.disk(of: name), path])
    }
  }

  /// As it is called in the table of mounts.
  private static func disk(of name: String) -> String { "hotrack-testbed-\(name)" }

  /// Where the disks of a testbed are mounted.
  private static func disks(of name: String) -> [String] {
    let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
    return mounts.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      return words.count > 1 && words[0] == disk(of: name) ? String(words[1]) : nil
    }
  }

  /// Removes the servers' disks, and their data in the folder `data`.
  static func removeData(of name: String, in data: String?) throws(TestbedError) {
    for path in disks(of: name) { try run(["umount", path]) }
    if let data { try? FileManager.default.removeItem(atPath: data) }
  }

  /// Leaves no room on a server's disk.
  func fillDisk(_ target: Fault.Target) throws(TestbedError) {
    let directory = try dataDirectory(target)
    guard Self.disks(of: name).contains(directory) else {
      throw .run("the data of \(target) is on no disk of its own: say disk_mb in [testbed]")
    }
    let path = try filler(target)
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else {
      throw .system(doing: "create \(path)", code: errno, reason: reason(errno))
    }
    defer { close(file) }
    // Smaller and smaller pieces, until not even a byte finds room.
    for length in [1 << 20, 1 << 12, 1] {
      let piece = [UInt8](repeating: 0, count: length)
      while Glibc.write(file, piece, piece.count) == piece.count {}
    }
    guard errno == ENOSPC else {
      throw .system(doing: "fill \(path)", code: errno, reason: reason(errno))
    }
  }

  /// Gives the room back.
  func clearDisk(_ target: Fault.Target) throws(TestbedError) { unlink(try filler(target)) }

  func isDiskFull(_ target: Fault.Target) -> Bool {
    guard let path = try? filler(target) else { return false }
    return access(path, F_OK) == 0
  }

  /// Changes a byte of what a server that does not run has on its disk: in the largest of the
  /// database's sorted files, near its beginning, where the values are; if it has none yet, in its log.
  func damageFile(_ target: Fault.Target) throws(TestbedError) {
    let folder = "\(try dataDirectory(target))/store/rocksdb"
    func largest(_ ending: String) -> (path: String, length: Int)? {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.sorted().filter { $0.hasSuffix(ending) }.compactMap { name in
        let size = try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")[.size]
        return (size as? Int).map { ("\(folder)/\(name)", $0) }
      }.max { $0.length < $1.length }
    }
    guard let file = largest(".sst") ?? largest(".log"), file.length > 0 else {
      throw .run("\(target) has written no file that could be damaged: \(folder)")
    }
    let descriptor = open(file.path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw .system(doing: "open \(file.path)", code: errno, reason: reason(errno))
    }
    defer { close(descriptor) }
    let place = off_t(min(1_000, file.length / 2))
    var byte: UInt8 = 0
    guard pread(descriptor, &byte, 1, place) == 1 else {
      throw .system(doing: "read \(file.path)", code: errno, reason: reason(errno))
    }
    byte ^= 0x10
    guard pwrite(descriptor, &byte, 1, place) == 1, fsync(descriptor) == 0 else {
      throw .system(doing: "damage \(file.path)", code: errno, reason: reason(errno))
    }
  }
}
