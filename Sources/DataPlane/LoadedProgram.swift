internal import CBPF
internal import CHotrack
internal import Directory
internal import Glibc
internal import Synchronization

/// XDP programs in the kernel with their maps. Closing them takes the maps away with them.
package final class LoadedProgram: @unchecked Sendable {
  /// The file descriptor of the program that it was loaded for.
  package let program: Int32
  package let processors: Int
  private let object: OpaquePointer
  /// A descriptor of a program that is not of the object.
  private let foreign: Int32?
  /// The program is the one that it was given, not a new one.
  var isForeign: Bool { foreign != nil }
  /// Memory of maps that is mapped into this process, and its lengths.
  private var mappings: [(start: UnsafeMutableRawPointer, length: Int)] = []

  convenience init(
    _ image: BPFObject, function: String, configuration: DataPlaneConfiguration
  ) throws(DataPlaneError) {
    try self.init(image, function: function, instead: nil) {
      (opened, processors) throws(DataPlaneError) in
      try Self.size(opened, configuration, processors)
    }
  }

  /// On maps that are there already (`maps`: descriptors by name): loads it once more, or, with
  /// `instead`, takes this very program, which is then closed with this object, or if this throws.
  convenience init(
    _ image: BPFObject, function: String, configuration: DataPlaneConfiguration,
    maps: [String: Int32], instead program: Int32?
  ) throws(DataPlaneError) {
    try self.init(image, function: function, instead: program) {
      (opened, processors) throws(DataPlaneError) in
      try Self.size(opened, configuration, processors)
      for (name, descriptor) in maps {
        guard let map = bpf_object__find_map_by_name(opened, name) else { continue }
        let code = bpf_map__reuse_fd(map, descriptor)
        guard code == 0 else { throw .from(code: -code, doing: "use the map \(name) again") }
      }
    }
  }

  /// Loads an object other than the rack's, with `elements` for the maps of these names.
  package convenience init(
    _ image: BPFObject, function: String, elements: [String: Int]
  ) throws(DataPlaneError) {
    try self.init(image, function: function, instead: nil) { (opened, _) throws(DataPlaneError) in
      for (name, count) in elements { try Self.size(opened, name, count) }
    }
  }

  private init(
    _ image: BPFObject, function: String, instead other: Int32?,
    prepare: (OpaquePointer, _ processors: Int) throws(DataPlaneError) -> Void
  ) throws(DataPlaneError) {
    try Self.checkKernel()
    KernelLog.start()
    var options = bpf_object_open_opts()
    options.sz = MemoryLayout<bpf_object_open_opts>.size
    let opened = image.bytes.withUnsafeBytes { raw in
      "hotrack".withCString { name in
        options.object_name = name
        return bpf_object__open_mem(raw.baseAddress, raw.count, &options)
      }
    }
    guard let opened else {
      throw .kernel(doing: "read the embedded program", code: errno, log: KernelLog.take())
    }
    object = opened
    processors = Int(libbpf_num_possible_cpus())
    do throws(DataPlaneError) {
      try prepare(opened, processors)
      if let other {
        // Nothing has to be verified: that takes the longest of all.
        (program, foreign) = (other, other)
      } else {
        let code = bpf_object__load(opened)
        guard code == 0 else {
          throw .from(code: -code, doing: "load the program", log: KernelLog.take())
        }
        guard let found = bpf_object__find_program_by_name(opened, function) else {
          throw .kernel(doing: "find the program \(function)", code: ENOENT, log: "")
        }
        (program, foreign) = (bpf_program__fd(found), nil)
      }
    } catch {
      if let other { close(other) }
      bpf_object__close(opened)
      throw error
    }
  }

  deinit {
    for mapping in mappings { munmap(mapping.start, mapping.length) }
    if let foreign { close(foreign) }
    bpf_object__close(object)
  }

  /// The file descriptor of another program of the object.
  package func program(_ name: String) -> Int32 {
    guard let program = bpf_object__find_program_by_name(object, name) else {
      preconditionFailure("the embedded object has no program \(name)")
    }
    return bpf_program__fd(program)
  }

  /// The file descriptor of a map.
  package func map(_ name: String) -> Int32 {
    guard let map = bpf_object__find_map_by_name(object, name) else {
      preconditionFailure("the embedded program has no map \(name)")
    }
    return bpf_map__fd(map)
  }

  /// Maps `count` elements of a map's memory into this process.
  package func memory<Element>(
    of name: String, as type: Element.Type, count: Int
  ) throws(DataPlaneError) -> UnsafeMutablePointer<Element> {
    let page = Int(getpagesize())
    let length = (MemoryLayout<Element>.stride * count + page - 1) / page * page
    let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, map(name), 0)
    guard let start, start != MAP_FAILED else {
      throw .from(code: errno, doing: "map the memory of \(name)")
    }
    mappings.append((start, length))
    return start.bindMemory(to: type, capacity: count)
  }

  private static func checkKernel() throws(DataPlaneError) {
    var names = utsname()
    uname(&names)
    let release = withUnsafeBytes(of: &names.release) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if let error = DataPlaneError.check(kernelRelease: release) { throw error }
  }

  /// Gives the maps their sizes and the program its constants.
  private static func size(
    _ object: OpaquePointer, _ configuration: DataPlaneConfiguration, _ processors: Int
  ) throws(DataPlaneError) {
    let (buckets, ring) = (configuration.buckets, configuration.sampleRingBytes)
    guard buckets > 0, buckets & (buckets - 1) == 0, buckets <= 1 << 22 else {
      throw .configuration("the directory's buckets must be a power of two up to 4194304")
    }
    guard ring >= Int(getpagesize()), ring & (ring - 1) == 0, ring <= 1 << 30 else {
      throw .configuration("the sample ring must be a power of two, from a page to 1 GiB")
    }
    let entries = buckets * Int(DIRECTORY_WAYS)
    try Self.size(object, "entry_counts", entries * processors)
    try Self.size(object, "entry_notes", entries)
    try Self.size(object, "samples", ring)
    // Without a limit nothing uses it.
    try Self.size(object, "clients", configuration.rack.limit == nil ? 1 : 65_536)
    for (name, bytes) in [
      ("buckets", buckets * MemoryLayout<directory_bucket>.stride),
      ("details", entries * MemoryLayout<directory_detail>.stride),
    ] {
      guard let map = bpf_object__find_map_by_name(object, name) else { continue }
      let code = bpf_map__set_value_size(map, UInt32(bytes))
      guard code == 0 else { throw .kernel(doing: "size the map \(name)", code: -code, log: "") }
    }
    guard let constants = bpf_object__find_map_by_name(object, ".rodata.configuration") else {
      return
    }
    var raw = configuration.rack.raw
    raw.bucket_mask = UInt32(buckets - 1)
    let code = bpf_map__set_initial_value(
      constants, &raw, MemoryLayout<plane_configuration>.size)
    guard code == 0 else { throw .kernel(doing: "set the constants", code: -code, log: "") }
  }
}

extension LoadedProgram {
  /// Maps that the object has not are none of its business.
  private static func size(
    _ object: OpaquePointer, _ name: String, _ elements: Int
  ) throws(DataPlaneError) {
    guard let map = bpf_object__find_map_by_name(object, name) else { return }
    let code = bpf_map__set_max_entries(map, UInt32(elements))
    guard code == 0 else { throw .kernel(doing: "size the map \(name)", code: -code, log: "") }
  }
}

/// The last lines that libbpf wrote: among them is what the verifier said.
private enum KernelLog {
  private static let lines = Mutex<[String]>([])
  private static let keep = 40

  static func start() {
    lines.withLock { $0.removeAll() }
    _ = libbpf_set_print { level, format, arguments in
      guard level != LIBBPF_DEBUG, let format, let arguments else { return 0 }
      let room = 1 << 16
      let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: room) { buffer in
        vsnprintf(buffer.baseAddress, room, format, arguments)
        return buffer.baseAddress.map { String(cString: $0) } ?? ""
      }
      KernelLog.append(text)
      return 0
    }
  }

  static func append(_ text: String) {
    lines.withLock { lines in
      lines += text.split(separator: "\n").map(String.init)
      if lines.count > keep { lines.removeFirst(lines.count - keep) }
    }
  }

  static func take() -> String { lines.withLock { $0.joined(separator: "\n") } }
}
