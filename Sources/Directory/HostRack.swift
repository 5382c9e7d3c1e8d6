internal import CHotrack
internal import Glibc

/// The data plane's own text (`bpf/packet.h`) on the host: whole frames in, whole frames out. For
/// tests, and for whoever wants a rack without the kernel's help. Not thread-safe: one for each
/// thread, which may share `memory`.
public final class HostRack {
  /// What becomes of a frame.
  public enum Action: Sendable, Equatable {
    /// To the kernel, as it is.
    case pass
    case drop
    /// Out of the port it came in by.
    case transmit
    /// Out of the port of this interface.
    case send(interface: UInt32)
  }

  /// The directory that decides.
  public let memory: DirectoryMemory
  /// Key hash, operation, weight and key of each sampled request; `isCollision`: a server said
  /// `other key`.
  public var onSample:
    (
      (_ keyHash: UInt64, _ operation: UInt8, _ weight: UInt32, _ key: [UInt8], _ isCollision: Bool)
        -> Void
    )?
  /// The address (16 bytes) of a client whose requests were dropped because of the rate limit, and how many.
  public var onRefused: ((_ address: [UInt8], _ requests: UInt32) -> Void)?
  private let plane: UnsafeMutablePointer<host_plane>

  /// A rack on this directory. `random`: where its random choices begin.
  public init(memory: DirectoryMemory, configuration: RackConfiguration, random: UInt32 = 1) {
    self.memory = memory
    plane = .allocate(capacity: 1)
    let cpu = UnsafeMutablePointer<plane_cpu>.allocate(capacity: 1)
    cpu.initialize(to: plane_cpu())
    cpu.pointee.entries = UInt32(memory.capacity)
    let ports = UnsafeMutablePointer<plane_ports>.allocate(capacity: 1)
    memset(ports, 0, MemoryLayout<plane_ports>.size)
    let counts = UnsafeMutablePointer<plane_entry_counts>.allocate(capacity: memory.capacity)
    counts.initialize(repeating: plane_entry_counts(), count: memory.capacity)
    let clients = UnsafeMutablePointer<host_client>.allocate(capacity: Self.clientsMax)
    clients.initialize(repeating: host_client(), count: Self.clientsMax)
    plane.initialize(
      to: host_plane(
        directory: memory.raw, configuration: configuration.raw, ports: ports, cpu: cpu,
        entry_counts: counts, copy: hotrack_header(), clients: clients,
        clients_max: UInt32(Self.clientsMax), now: 1, sample: nil, context: nil))
    memory.raw.pointee.random?.pointee = random
  }

  deinit {
    plane.pointee.ports.deallocate()
    plane.pointee.cpu.deallocate()
    plane.pointee.entry_counts.deallocate()
    plane.pointee.clients.deallocate()
    plane.deallocate()
  }

  /// Clients that a rate limit is for; others have none.
  public static let clientsMax = 64

  /// The time that a rate limit goes by. Nanoseconds, from 1.
  public var now: UInt64 {
    get { plane.pointee.now }
    set { plane.pointee.now = newValue }
  }

  /// What clients have asked for is forgotten.
  public func forgetClients() {
    plane.pointee.clients.update(repeating: host_client(), count: Self.clientsMax)
  }

  /// Adds a port: frames may come in by this interface and leave by it. Precondition: room for it.
  public func addPort(interface: UInt32, mac: [UInt8]) {
    withPorts { ports in
      let places = (0..<Int(PLANE_PORT_PROBES)).map { (Int(interface) + $0) % Int(PLANE_PORTS) }
      guard let place = places.first(where: { ports[$0].interface == 0 }) else {
        preconditionFailure("no room for the port of interface \(interface)")
      }
      withUnsafeMutableBytes(of: &ports[place].mac) { $0.copyBytes(from: mac.prefix(6)) }
      ports[place].interface = interface
    }
  }

  /// Decides and rewrites a frame that came in by an interface.
  public func handle(
    _ frame: inout [UInt8], ingress interface: UInt32, linear: Int? = nil
  ) -> Action {
    let isHeard = onSample != nil || onRefused != nil
    plane.pointee.context = isHeard ? Unmanaged.passUnretained(self).toOpaque() : nil
    plane.pointee.sample = isHeard ? Self.takeSample : nil
    var place: UInt32 = 0
    let (action, length) = frame.withUnsafeMutableBufferPointer { bytes in
      var raw = host_frame(
        bytes: bytes.baseAddress, length: UInt32(bytes.count),
        linear: UInt32(min(linear ?? bytes.count, bytes.count)), interface: interface)
      return (hotrack_packet_handle(plane, &raw, &place), Int(raw.length))
    }
    frame.removeLast(frame.count - length)
    switch action {
    case PACKET_PASS: return .pass
    case PACKET_RETURN: return .transmit
    case PACKET_SEND: return .send(interface: withPorts { $0[Int(place)].interface })
    default: return .drop
    }
  }

  /// Packets by what they were counted as, in the order of `DirectoryCounter.all`.
  public var counters: [UInt64] {
    withUnsafeBytes(of: &plane.pointee.cpu.pointee.counters) {
      Array($0.bindMemory(to: UInt64.self).prefix(Int(COUNTERS.rawValue)))
    }
  }

  /// Reads, writes and copies steered to a server, and replies of it that went on.
  public func serverCounts(_ server: Int) -> [UInt64] {
    withUnsafeBytes(of: &plane.pointee.cpu.pointee.servers) {
      Array($0.bindMemory(to: UInt64.self)[4 * server..<4 * server + 4])
    }
  }

  /// Reads and writes of an entry.
  public func entryCounts(_ entry: UInt32) -> (reads: UInt64, writes: UInt64) {
    let counts = plane.pointee.entry_counts[Int(entry)]
    return (counts.reads, counts.writes)
  }

  private func withPorts<Result>(
    _ body: (UnsafeMutablePointer<plane_port>) -> Result
  ) -> Result {
    body(UnsafeMutableRawPointer(plane.pointee.ports).assumingMemoryBound(to: plane_port.self))
  }

  private static let takeSample:
    @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<plane_sample>?) -> Void = {
      context, sample in
      guard let context, let sample else { return }
      let rack = Unmanaged<HostRack>.fromOpaque(context).takeUnretainedValue()
      var record = sample.pointee
      let length = Int(record.key_length)
      let key = withUnsafeBytes(of: &record.key) { Array($0.prefix(length)) }
      guard record.kind != UInt8(PLANE_SAMPLE_REFUSED.rawValue) else {
        rack.onRefused?(key, record.weight)
        return
      }
      rack.onSample?(
        record.key_hash, record.operation, record.weight, key,
        record.kind == UInt8(PLANE_SAMPLE_COLLISION.rawValue))
    }
}
