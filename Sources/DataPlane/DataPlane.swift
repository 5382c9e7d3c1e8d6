internal import CBPF
internal import CHotrack
public import Directory
internal import Glibc
internal import Synchronization
internal import Wire

/// The rack's data plane in the kernel: loads the program, gives access to its memory and
/// counts, and attaches it to interfaces of the network namespace of the calling thread.
///
/// Without a `PinDirectory` it owns everything: when it goes away (or the process does), the program
/// is detached and its maps are gone. With one they stay, and go on. Methods may be called from any thread; changes of `memory` come from one.
public final class DataPlane: Sendable {
  /// An interface that the program is attached to.
  struct Port {
    var name: String
    var interface: UInt32
    var place: UInt32
    var link: Int32
    /// The name of its link among the pins.
    var pin: String
  }

  /// The directory, in memory that the program uses at the same time.
  public let memory: DirectoryMemory
  /// Places for hot keys.
  public var capacity: Int { memory.capacity }
  let loaded: LoadedProgram
  let ports = Mutex<[Port]>([])
  let samples: SampleRing
  let shared: SharedMemory
  /// Where it stays when this process ends.
  let pins: PinDirectory?
  /// It was running before: its memory is as another process has left it.
  public let isAdopted: Bool
  /// The program that runs on its interfaces, until `adopt`, is another one than this version's.
  let isProgramNew: Bool
  /// Tells this version's program from others.
  let image: UInt64
  /// Where it meets its packets.
  public let kind: PlaneKind
  private let grace: GracePeriod

  /// Loads the program. It handles no packets until it is attached, and answers `busy` until the
  /// directory is told to serve.
  ///
  /// With `pins`: takes up what is kept there, if there is something: then nothing has changed yet,
  /// and `adopt` comes next. Otherwise a new data plane is kept there. `replacingProgram`: what is kept gets this version's program, though it may have it.
  public convenience init(
    configuration: DataPlaneConfiguration, pins: PinDirectory? = nil,
    replacingProgram: Bool = false
  ) throws(DataPlaneError) {
    try self.init(
      image: nil, configuration: configuration, pins: pins, replacingProgram: replacingProgram)
  }

  /// `image`: instead of this version's program of the kind.
  package init(
    image: BPFObject?, configuration: DataPlaneConfiguration, pins: PinDirectory? = nil,
    replacingProgram: Bool = false
  ) throws(DataPlaneError) {
    self.pins = pins
    let found = try pins?.content(configuration) ?? .nothing
    if case .plane(let maps, let program, _, _) = found {
      let running = LoadedProgram.kind(of: program)
      kind = running ?? .xdp
      if let pins, let wanted = configuration.kind, wanted != running {
        for descriptor in Array(maps.values) + [program] { close(descriptor) }
        throw .anotherLayout(
          path: pins.path, reason: "it runs on \(kind.name), and \(wanted.name) is asked for")
      }
    } else {
      kind = configuration.kind ?? .xdp
    }
    let image = image ?? kind.image(isIPv6: configuration.rack.isIPv6)
    self.image = image.identity
    if case .plane(let maps, let program, var constants, let known) = found {
      defer { for map in maps.values { close(map) } }
      var wanted = configuration.rack.raw
      wanted.bucket_mask = UInt32(configuration.buckets - 1)
      let isSame =
        !replacingProgram && known == image.identity
        && withUnsafeBytes(of: &constants) { Array($0) }
          == withUnsafeBytes(of: &wanted) { Array($0) }
      if !isSame { close(program) }
      loaded = try LoadedProgram(
        image, function: "rack", configuration: configuration, maps: maps,
        instead: isSame ? program : nil)
      isProgramNew = !loaded.isForeign
      isAdopted = true
    } else {
      if case .incomplete = found { try pins?.clear() }
      loaded = try LoadedProgram(image, function: "rack", configuration: configuration)
      isProgramNew = false
      isAdopted = false
    }
    shared = try SharedMemory(loaded, buckets: configuration.buckets)
    memory = DirectoryMemory(
      mapped: shared.directory, buckets: configuration.buckets, owner: loaded)
    samples = try SampleRing(loaded.map("samples"))
    grace = try GracePeriod()
    guard !isAdopted else { return }
    try numberProcessors()
    if let pins { try pinAll(in: pins, configuration, image: image.identity) }
  }

  deinit {
    ports.withLock { ports in
      for port in ports { close(port.link) }
    }
  }

  /// Attaches the program to an interface. From then on it handles what arrives there, and can send
  /// out of it. Returns how it runs: on XDP in native mode, unless the driver cannot.
  @discardableResult
  public func attach(interface name: String) throws(DataPlaneError) -> AttachMode {
    let interface = if_nametoindex(name)
    guard interface != 0 else { throw .noSuchInterface(name) }
    let address = try Self.hardwareAddress(of: name)
    let mac = (address[0], address[1], address[2], address[3], address[4], address[5])
    let result = ports.withLock { ports in
      Result { () throws(DataPlaneError) -> AttachMode in
        if ports.contains(where: { $0.interface == interface }) {
          throw DataPlaneError.interfaceTaken(name, by: nil)
        }
        let place = try enterPort(
          plane_port(interface: interface, mac: mac, reserved: (0, 0, 0, 0, 0, 0)))
        do throws(DataPlaneError) {
          let (link, mode) = try link(to: name)
          let pin = PinDirectory.link(name, index: interface)
          do throws(DataPlaneError) {
            try pins?.pin(link, as: pin)
          } catch {
            close(link)
            throw error
          }
          ports.append(
            Port(name: name, interface: interface, place: place, link: link, pin: pin))
          return mode
        } catch {
          shared.giveBackPort(place)
          clearDevice(place)
          throw error
        }
      }
    }
    return try result.get()
  }

  private func link(to name: String) throws(DataPlaneError) -> (Int32, AttachMode) {
    if kind == .tc { return (try LoadedProgram.attachToTC(loaded.program, to: name), .tc) }
    do throws(DataPlaneError) {
      return (try LoadedProgram.attach(loaded.program, to: name), .native)
    } catch {
      guard case .nativeModeUnsupported = error else { throw error }
      return (try LoadedProgram.attach(loaded.program, to: name, mode: .generic), .generic)
    }
  }

  /// The MAC address of an interface of this network namespace: six bytes.
  static func hardwareAddress(of name: String) throws(DataPlaneError) -> [UInt8] {
    var mac = [UInt8](repeating: 0, count: 6)
    let failed = cbpf_hardware_address(name, &mac)
    guard failed == 0 else { throw .from(code: failed, doing: "read the MAC address of \(name)") }
    return mac
  }

  /// Makes a port of the loopback interface, without attaching to it: for runs of the program
  /// without packets, whose frames seem to have come in there. Returns its interface index.
  package func enterLoopback() throws(DataPlaneError) -> UInt32 {
    let interface = if_nametoindex("lo")
    _ = try enterPort(
      plane_port(
        interface: interface, mac: (0, 0, 0, 0, 0, 0), reserved: (0, 0, 0, 0, 0, 0)))
    return interface
  }

  /// The file descriptor of the program.
  package var program: Int32 { loaded.program }

  private func enterPort(_ port: plane_port) throws(DataPlaneError) -> UInt32 {
    let place = try shared.takePort(port.interface, port)
    do throws(DataPlaneError) {
      try setDevice(place, port.interface)
    } catch {
      shared.giveBackPort(place)
      throw error
    }
    return place
  }

  /// Takes the program off an interface. Packets that arrive there go to the kernel from then on.
  public func detach(interface name: String) throws(DataPlaneError) {
    let found = ports.withLock { ports -> Port? in
      guard let index = ports.firstIndex(where: { $0.name == name }) else { return nil }
      let port = ports.remove(at: index)
      pins?.unpin(port.pin)
      // Now: a name that is gone may hold it for a while.
      bpf_link_detach(port.link)
      close(port.link)
      clearDevice(port.place)
      shared.giveBackPort(port.place)
      return port
    }
    guard found != nil else { throw .interfaceNotAttached(name) }
  }

  /// The interfaces that the program is attached to.
  public var interfaces: [String] { ports.withLock { $0.map(\.name) } }

  /// The interfaces that the program is attached to, and how it runs there (nil: something has taken
  /// it off).
  public func attachModes() -> [(interface: String, mode: AttachMode?)] {
    ports.withLock { ports in
      ports.map { port in
        guard kind == .tc else { return (port.name, LoadedProgram.attachMode(of: port.interface)) }
        let isThere = (try? LoadedProgram.linkInformation(port.link))?.interface == port.interface
        return (port.name, isThere ? .tc : nil)
      }
    }
  }

  /// How many packets were counted under each counter since the program was loaded.
  public func counters() -> CounterReadings {
    CounterReadings(
      values: total { cpu in
        withUnsafeBytes(of: cpu.counters) { raw in
          Array(raw.bindMemory(to: UInt64.self).prefix(Int(COUNTERS.rawValue)))
        }
      })
  }

  /// How many packets each processor of this host has handled since the program was loaded.
  public func packetsByProcessor() -> [UInt64] {
    processorStates().map { cpu in
      withUnsafeBytes(of: cpu.counters) { raw in
        let counters = raw.bindMemory(to: UInt64.self).prefix(Int(COUNTERS.rawValue))
        // A sample that is lost is counted beside its packet.
        return counters.reduce(0, +) - counters[Int(COUNTER_SAMPLE_LOST.rawValue)]
      }
    }
  }

  /// What was steered to each of the 32 servers and came from it, since the program was loaded.
  public func serverCounts() -> [ServerCounts] {
    let flat = total { cpu in
      withUnsafeBytes(of: cpu.servers) { Array($0.bindMemory(to: UInt64.self)) }
    }
    return (0..<WireLimits.serversMax).map { server in
      ServerCounts(
        reads: flat[4 * server], writes: flat[4 * server + 1], copies: flat[4 * server + 2],
        replies: flat[4 * server + 3])
    }
  }

  /// Exact counts of requests for directory entries, since their places were last reset.
  public func entryCounts(_ entries: [UInt32]) -> [(reads: UInt64, writes: UInt64)] {
    entries.map { shared.counts(ofEntry: Int($0), capacity: capacity, loaded.processors) }
  }

  /// Sets the counts of a place to zero; for a place that is about to be used again, and that no
  /// packet can find: a packet that counts meanwhile may undo it.
  public func resetEntryCounts(_ entry: UInt32) {
    shared.resetCounts(ofEntry: Int(entry), capacity: capacity, loaded.processors)
  }

  /// Gives `body` every sample that waits in the ring, oldest first, and returns how many. Does
  /// not wait for any. Samples of a full ring are lost and counted as `sample_lost`.
  @discardableResult
  public func drainSamples(_ body: (SampleRecord) -> Void) -> Int { samples.drain(body) }

  /// Waits until every run of the program that had begun before has ended (some milliseconds):
  /// none holds on to what it looked up before. The kernel waits for an RCU grace period when an
  /// element of a map of maps is replaced, and every run is an RCU read-side section.
  public func awaitGrace() { grace.wait() }

  /// Instructions that the kernel's verifier walked through when it accepted the program.
  public func verifiedInstructions() -> Int { loaded.verifiedInstructions() }
}

/// Packets by what they were counted as.
public struct CounterReadings: Sendable, Equatable {
  let values: [UInt64]

  /// Packets counted under one counter.
  public subscript(counter: DirectoryCounter) -> UInt64 { values[Int(counter.rawValue)] }

  /// Each counter with its reading, in the order of the data plane's list.
  public var all: [(counter: DirectoryCounter, packets: UInt64)] {
    DirectoryCounter.all.map { ($0, self[$0]) }
  }

  /// By the counter's name; nil: there is none of that name.
  public subscript(name: String) -> UInt64? {
    DirectoryCounter.all.first { $0.description == name }.map { self[$0] }
  }
}

/// What went to a server and came from it.
public struct ServerCounts: Sendable, Equatable {
  /// Reads steered to it.
  public var reads: UInt64
  /// Writes steered to it.
  public var writes: UInt64
  /// Copies from other servers sent on to it.
  public var copies: UInt64
  /// Its replies that went on to their clients.
  public var replies: UInt64
}
