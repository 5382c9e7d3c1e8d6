internal import CBPF
internal import CHotrack
internal import DataPlane
internal import Directory
internal import Glibc
internal import Wire

/// The benchmark's own programs (`bpf/bench/dataplane.bpf.c`), and the memory that tells them which
/// packets to make.
final class PacketFeeder {
  /// Makes a packet and gives it to what the case wants it given to.
  let restore: Int32
  private let loaded: LoadedProgram
  private let plan: UnsafeMutablePointer<bench_plan>
  private let keys: UnsafeMutablePointer<bench_key>
  private let keyCount: Int
  /// Of what the keys are now.
  private var areHot: Bool?
  /// What servers' packets are tagged with; nil: nothing.
  private let servers: RackKeys?

  /// `keys`: a power of two; `rack`: the data plane's program; `servers`: their packets' tags.
  init(keys count: Int, rack: Int32, servers: RackKeys? = nil) throws(DataPlaneError) {
    self.servers = servers
    loaded = try LoadedProgram(.dataplane, function: "restore", elements: ["keys": count])
    restore = loaded.program
    plan = try loaded.memory(of: "plan", as: bench_plan.self, count: 1)
    keys = try loaded.memory(of: "keys", as: bench_key.self, count: count)
    keyCount = count
    plan.pointee.key_bits = UInt32(count.trailingZeroBitCount)
    for (target, program) in [
      (BENCH_EMPTY, loaded.program("empty")), (BENCH_PARSE_SWAP, loaded.program("parse_swap")),
      (BENCH_RACK, rack),
    ] {
      var (key, program) = (target.rawValue, program)
      let code = bpf_map_update_elem(loaded.map("targets"), &key, &program, UInt64(BPF_ANY))
      guard code == 0 else { throw .from(code: errno, doing: "enter a program to go on to") }
    }
  }

  /// The file descriptor of one of the programs.
  func program(_ name: String) -> Int32 { loaded.program(name) }

  /// Lets frames be sent out of an interface.
  func setDevice(_ device: bench_device, interface: UInt32) throws(DataPlaneError) {
    var (key, value) = (device.rawValue, bpf_devmap_val())
    value.ifindex = interface
    let code = bpf_map_update_elem(loaded.map("devices"), &key, &value, UInt64(BPF_ANY))
    guard code == 0 else { throw .from(code: errno, doing: "enter an interface as a device") }
  }

  /// Frames that have arrived, since the beginning.
  var arrivals: UInt64 {
    var counts = [UInt64](repeating: 0, count: loaded.processors)
    var key: UInt32 = 0
    // It cannot fail: the map is an array, and the key is its first.
    _ = bpf_map_lookup_elem(loaded.map("arrivals"), &key, &counts)
    return counts.reduce(0, +)
  }

  /// Begins with this case's packets.
  func prepare(_ each: DataPlaneCase, frame: [UInt8]) {
    if areHot != each.isHot {
      for index in 0..<keyCount {
        keys[index].key_hash = BenchRack.hash(index, isHot: each.isHot).bigEndian
      }
      areHot = each.isHot
    }
    withUnsafeMutableBytes(of: &plan.pointee.headers) { headers in
      headers.copyBytes(from: frame.prefix(headers.count))
    }
    tag(each, frame)
    plan.pointee.first_version = each.firstVersion
    plan.pointee.version_step = each.advances ? 1 : 0
    plan.pointee.packets = 0
    plan.pointee.target = each.target.raw
  }

  /// Makes the tag of each key's packet, as it will be made.
  private func tag(_ each: DataPlaneCase, _ frame: [UInt8]) {
    let isTagged = each.isFromServer && servers != nil
    plan.pointee.same_numbers = isTagged ? 1 : 0
    guard let servers, isTagged else {
      for index in 0..<keyCount { keys[index].rack_tag = 0 }
      return
    }
    precondition(!each.advances, "a tag is of one version")
    let start = Int(BENCH_HEADERS_LENGTH) - WireLimits.headerLength
    let datagram = Array(frame[start...])
    guard var message = try? Message(datagram: datagram) else {
      preconditionFailure("the benchmark's packets are whole")
    }
    for index in 0..<keyCount {
      message.header.version = each.firstVersion
      message.header.keyHash = BenchRack.hash(index, isHot: each.isHot)
      message.header.client = UInt64(index + 1)
      message.header.sequence = UInt64(index + 1)
      message.header.acknowledged = UInt64(index + 1)
      var bytes = message.encoded()
      servers.sign(&bytes, .fromServer)
      keys[index].rack_tag = bytes.withUnsafeBytes {
        $0.loadUnaligned(fromByteOffset: 112, as: UInt64.self)
      }
    }
  }
}
