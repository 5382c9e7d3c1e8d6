internal import CBPF
internal import CHotrack
internal import Directory
internal import Glibc
internal import Synchronization

/// A data plane in the BPF file system: how it gets there, and how the next controller's process
/// takes it up again.
extension PinDirectory {
  /// The names of the maps that outlive a program, in the object and here. Not among them are what
  /// the program keeps for the length of a packet, and its constants (`configuration`).
  static let maps = [
    ".bss": "memory", "buckets": "buckets", "details": "details", "entry_counts": "entry_counts",
    "devices": "devices", "processors": "processors", "samples": "samples", "notes": "notes",
    "slot_losses": "slot_losses", "entry_notes": "entry_notes",
  ]
  static let constants = ".rodata.configuration"

  /// What is here.
  enum Content {
    case nothing
    /// A controller was ended before its rack took requests.
    case incomplete
    /// Descriptors of the maps by their names in the object, and of the program.
    case plane(
      maps: [String: Int32], program: Int32, constants: plane_configuration, image: UInt64)
  }

  /// Looks at what is here, and whether this program can go on with it.
  func content(_ configuration: DataPlaneConfiguration) throws(DataPlaneError) -> Content {
    guard !isEmpty else { return .nothing }
    guard let notes = try open("notes") else { return .incomplete }
    defer { close(notes) }
    // The first part of the notes, which is the same in all versions.
    let layout = try Self.read(notes, as: plane_layout.self)
    if layout.magic == 0 { return .incomplete }
    guard layout.magic == PLANE_LAYOUT_MAGIC else {
      throw .anotherLayout(path: path, reason: "it was started by an unknown version")
    }
    guard layout.identity == hotrack_plane_identity() else {
      throw .anotherLayout(
        path: path, reason: "its memory is arranged in another way than this version's")
    }
    guard layout.buckets == configuration.buckets else {
      throw .anotherLayout(
        path: path,
        reason: "its directory has \(layout.buckets) buckets, not \(configuration.buckets)")
    }
    guard let memory = try open("memory") else { return .incomplete }
    defer { close(memory) }
    guard try Self.read(memory, as: directory_control.self).serving != 0 else {
      return .incomplete
    }
    var opened: [Int32] = []
    do throws(DataPlaneError) {
      var maps: [String: Int32] = [:]
      for (name, pin) in Self.maps.sorted(by: { $0.key < $1.key }) {
        let descriptor = try required(pin)
        opened.append(descriptor)
        maps[name] = descriptor
      }
      let constants = try required("configuration")
      defer { close(constants) }
      var raw = plane_configuration()
      var key: UInt32 = 0
      guard bpf_map_lookup_elem(constants, &key, &raw) == 0 else {
        throw .from(code: errno, doing: "read the constants of the data plane")
      }
      try check(raw, configuration.rack.raw)
      return .plane(
        maps: maps, program: try required("program"), constants: raw, image: layout.image)
    } catch {
      opened.forEach { close($0) }
      throw error
    }
  }

  private func required(_ name: String) throws(DataPlaneError) -> Int32 {
    guard let descriptor = try open(name) else {
      throw .anotherLayout(path: path, reason: "\(name) is missing there")
    }
    return descriptor
  }

  /// Where clients, servers and controller speak to each other does not change under them.
  private func check(
    _ known: plane_configuration, _ wanted: plane_configuration
  ) throws(DataPlaneError) {
    var (known, wanted) = (known, wanted)
    let isSame =
      bytes(of: &known.address) == bytes(of: &wanted.address) && known.port == wanted.port
      && known.control_port == wanted.control_port
    guard isSame else {
      throw .anotherRack(path: path, reason: "its address or ports are others")
    }
  }

  /// What a map's memory begins with.
  private static func read<Value>(
    _ map: Int32, as type: Value.Type
  ) throws(DataPlaneError) -> Value {
    let page = Int(getpagesize())
    let start = mmap(nil, page, PROT_READ, MAP_SHARED, map, 0)
    guard let start, start != MAP_FAILED else {
      throw .from(code: errno, doing: "look at the memory of the running data plane")
    }
    defer { munmap(start, page) }
    return start.load(as: type)
  }
}

/// The bytes of a C value, for comparison.
private func bytes<Value>(of value: inout Value) -> [UInt8] {
  withUnsafeBytes(of: &value) { Array($0) }
}

extension DataPlane {
  /// Writes down how the memory is arranged, and gives everything its name.
  func pinAll(
    in pins: PinDirectory, _ configuration: DataPlaneConfiguration, image: UInt64
  ) throws(DataPlaneError) {
    shared.layout.pointee = plane_layout(
      magic: PLANE_LAYOUT_MAGIC, identity: hotrack_plane_identity(),
      counters: hotrack_counters_identity(), image: image, buckets: UInt32(configuration.buckets),
      processors: UInt32(loaded.processors), adoptions: 0)
    // First, so that what is half made is known for it.
    try pins.pin(loaded.map("notes"), as: "notes")
    for (name, pin) in PinDirectory.maps.sorted(by: { $0.key < $1.key }) where pin != "notes" {
      try pins.pin(loaded.map(name), as: pin)
    }
    try pins.pin(loaded.map(PinDirectory.constants), as: "configuration")
    try pins.pin(loaded.program, as: "program")
  }

  /// Makes this process the one that owns the data plane that it found: its program and links. Where
  /// this version's program is another one, it takes the other's place on each interface, from one
  /// packet to the next; both work on the same memory meanwhile. Returns whether it was another one.
  ///
  /// Precondition: `isAdopted`; once, before anything is attached.
  public func adopt() throws(DataPlaneError) -> Bool {
    guard let pins else { preconditionFailure("only a pinned data plane can be adopted") }
    let number = LoadedProgram.programInformation(loaded.program)?.id ?? 0
    if isProgramNew {
      // The names first: whoever comes after us brings the links to the program of that name.
      try pins.pin(loaded.map(PinDirectory.constants), as: "configuration")
      try pins.pin(loaded.program, as: "program")
      shared.layout.pointee.image = image
    }
    var taken: [Port] = []
    for name in pins.names().sorted() where PinDirectory.isLink(name) {
      guard let link = try pins.open(name) else { continue }
      do throws(DataPlaneError) {
        let (interface, program) = try LoadedProgram.linkInformation(link)
        guard interface != 0 else {
          // Its interface is gone.
          pins.unpin(name)
          close(link)
          continue
        }
        let port = try port(of: link, interface, named: name)
        if program != number, bpf_link_update(link, loaded.program, nil) != 0 {
          throw .from(code: errno, doing: "put the new program on \(port.name)")
        }
        taken.append(port)
      } catch {
        close(link)
        throw error
      }
    }
    for place in shared.keepPorts(Set(taken.map(\.place))) { clearDevice(place) }
    ports.withLock { $0 = taken }
    if shared.layout.pointee.counters != hotrack_counters_identity() {
      // Under their numbers other things were counted.
      try numberProcessors()
      shared.layout.pointee.counters = hotrack_counters_identity()
    }
    // They speak of a time that is over.
    _ = samples.drain { _ in }
    return isProgramNew
  }

  private func port(
    of link: Int32, _ interface: UInt32, named pin: String
  ) throws(DataPlaneError) -> Port {
    var text = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    let name = if_indextoname(interface, &text).map { String(cString: $0) }
    guard let name, let place = shared.place(ofPort: interface),
      let mac = try? Self.hardwareAddress(of: name), mac == shared.mac(ofPort: place)
    else {
      throw .anotherRack(
        path: pins?.path ?? "",
        reason: "\(pin) is attached to an interface that is not one of this network namespace, "
          + "or has changed its MAC address")
    }
    return Port(name: name, interface: interface, place: place, link: link, pin: pin)
  }
}
