internal import CBPF
internal import Glibc

/// The directory of the BPF file system in which the data plane of one rack outlives its
/// controllers: its maps, its program and its links to the interfaces have names there. Holding it
/// keeps other controllers away (a lock that ends with the process).
///
/// Names: `program`, `configuration`, one for each map, `link-INTERFACE-INDEX`. (Names in this
/// file system cannot contain dots: those of interfaces become underscores.)
public final class PinDirectory: Sendable {
  public let path: String
  /// The directory itself, which is locked.
  private let lock: Int32

  /// Where the BPF file system is.
  static let fileSystem = "/sys/fs/bpf"

  /// The directory of the rack of this name.
  public static func path(rack name: String) -> String { "\(fileSystem)/hotrack/\(name)" }

  /// Whether a rack of this name has a directory, be it empty.
  package static func exists(rack name: String) -> Bool { access(path(rack: name), F_OK) == 0 }

  /// The racks of this host that have a data plane, running or not.
  public static func racks() -> [String] {
    names(in: "\(fileSystem)/hotrack").filter { !names(in: path(rack: $0)).isEmpty }.sorted()
  }

  /// Takes the lock of a rack (its name: lower-case letters, digits and dashes). Makes the
  /// directory, and mounts the file system, if they are missing.
  public init(rack name: String) throws(DataPlaneError) {
    path = Self.path(rack: name)
    try Self.mountIfMissing()
    var patience = 5
    while true {
      try Self.make(path)
      let directory = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard directory >= 0 else { throw .pins(path: path, doing: "open", code: errno) }
      guard flock(directory, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        if code == EWOULDBLOCK, patience > 0 {
          // A process that is being started has, for a moment, all files of the one that starts it.
          patience -= 1
          close(directory)
          usleep(20_000)
          continue
        }
        let holder = Self.holder(directory)
        close(directory)
        throw code == EWOULDBLOCK
          ? .pinsTaken(path: path, process: holder) : .pins(path: path, doing: "lock", code: code)
      }
      // Whoever held the lock before may have removed it meanwhile.
      if Self.number(directory) == Self.number(path) {
        lock = directory
        return
      }
      close(directory)
    }
  }

  deinit { if lock >= 0 { close(lock) } }

  /// Whether there is a data plane, or a part of one.
  public var isEmpty: Bool { names().isEmpty }

  /// Takes the data plane off its interfaces and forgets it, as soon as no process holds it either.
  public func remove() throws(DataPlaneError) {
    try clear()
    guard rmdir(path) == 0 || errno == ENOENT else {
      throw .pins(path: path, doing: "remove", code: errno)
    }
  }

  /// As `remove`; the directory stays.
  func clear() throws(DataPlaneError) {
    // Links first: no packet meets half a data plane.
    for name in names().sorted(by: { Self.isLink($0) && !Self.isLink($1) }) {
      if Self.isLink(name), let link = try open(name) {
        // Now: a name that is gone may hold it for a while.
        bpf_link_detach(link)
        close(link)
      }
      guard unlink(place(name)) == 0 || errno == ENOENT else {
        throw .pins(path: place(name), doing: "remove", code: errno)
      }
    }
  }

  // MARK: Pins

  func place(_ name: String) -> String { "\(path)/\(name)" }

  /// In no particular order.
  func names() -> [String] { Self.names(in: path) }

  static func names(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  /// A new descriptor of what is pinned under a name; nil: nothing is.
  func open(_ name: String) throws(DataPlaneError) -> Int32? {
    let descriptor = bpf_obj_get(place(name))
    if descriptor >= 0 { return descriptor }
    guard errno == ENOENT else {
      throw .pins(path: place(name), doing: "open", code: errno)
    }
    return nil
  }

  /// Pins what a descriptor stands for, in the place of what has the name, if anything does.
  func pin(_ descriptor: Int32, as name: String) throws(DataPlaneError) {
    let temporary = place("\(name)-new")
    unlink(temporary)
    guard bpf_obj_pin(descriptor, temporary) == 0 else {
      throw .pins(path: place(name), doing: "create", code: errno)
    }
    guard rename(temporary, place(name)) == 0 else {
      throw .pins(path: place(name), doing: "replace", code: errno)
    }
  }

  func unpin(_ name: String) { unlink(place(name)) }

  /// The name of the link to an interface.
  static func link(_ interface: String, index: UInt32) -> String {
    "link-\(interface.replacing(".", with: "_"))-\(index)"
  }

  /// Is this the name of a link?
  static func isLink(_ name: String) -> Bool { name.hasPrefix("link-") }

  // MARK: The file system

  private static func mountIfMissing() throws(DataPlaneError) {
    guard cbpf_is_file_system(fileSystem) == 0 else { return }
    let code = cbpf_mount(fileSystem)
    guard code == 0 else {
      throw code == EPERM
        ? .notPermitted(doing: "mount the BPF file system at \(fileSystem)")
        : .pins(path: fileSystem, doing: "mount the BPF file system at", code: code)
    }
  }

  /// Makes the directories that lead to a path of this file system.
  private static func make(_ path: String) throws(DataPlaneError) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw errno == EACCES || errno == EPERM
        ? .notPermitted(doing: "create \(path)") : .pins(path: path, doing: "create", code: errno)
    }
    try make(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw .pins(path: path, doing: "create", code: errno)
    }
  }

  private static func number(_ directory: Int32) -> UInt64? {
    var status = stat()
    return fstat(directory, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  private static func number(_ path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  /// The process that holds the lock, as far as the kernel shows it to this one.
  private static func holder(_ directory: Int32) -> Int32? {
    guard let number = number(directory), let file = fopen("/proc/locks", "re") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      // 1: FLOCK ADVISORY WRITE process device:number start end
      let fields = line.withUnsafeBufferPointer { buffer in
        buffer.baseAddress.map { String(cString: $0) } ?? ""
      }.split(separator: " ")
      if fields.count > 5, fields[1] == "FLOCK", fields[5].hasSuffix(":\(number)") {
        return Int32(fields[4])
      }
    }
    return nil
  }
}
