internal import CBPF
internal import CHotrack
internal import Glibc

extension DataPlane {
  /// Lets the program send out of an interface.
  func setDevice(_ place: UInt32, _ interface: UInt32) throws(DataPlaneError) {
    var (place, value) = (place, bpf_devmap_val())
    value.ifindex = interface
    let code = bpf_map_update_elem(loaded.map("devices"), &place, &value, UInt64(BPF_ANY))
    guard code == 0 else { throw .from(code: errno, doing: "enter an interface as a port") }
  }

  func clearDevice(_ place: UInt32) {
    var place = place
    _ = bpf_map_delete_elem(loaded.map("devices"), &place)
  }

  /// Tells each processor's state its number, and how many places the directory has.
  func numberProcessors() throws(DataPlaneError) {
    var state = [plane_cpu](repeating: plane_cpu(), count: loaded.processors)
    for processor in state.indices {
      state[processor].cpu = UInt32(processor)
      state[processor].entries = UInt32(capacity)
      // Distinct beginnings, so that processors do not choose alike.
      state[processor].random = UInt32(truncatingIfNeeded: processor &* 0x5bd1_e995 &+ 1)
    }
    var key: UInt32 = 0
    let code = bpf_map_update_elem(
      loaded.map("processors"), &key, &state, UInt64(BPF_ANY))
    guard code == 0 else { throw .from(code: errno, doing: "set the processors' state") }
  }

  /// The state of each processor.
  func processorStates() -> [plane_cpu] {
    var state = [plane_cpu](repeating: plane_cpu(), count: loaded.processors)
    var key: UInt32 = 0
    // It cannot fail: the map is an array, and the key is its first.
    _ = bpf_map_lookup_elem(loaded.map("processors"), &key, &state)
    return state
  }

  /// Sums what `values` picks of each processor's state.
  func total(_ values: (plane_cpu) -> [UInt64]) -> [UInt64] {
    processorStates().map(values).reduce(into: []) { sum, part in
      if sum.isEmpty {
        sum = part
      } else {
        for index in part.indices { sum[index] += part[index] }
      }
    }
  }
}

extension LoadedProgram {
  /// Attaches a program in native mode or not at all: the kernel's fallback is silent and slow.
  /// Returns the descriptor that holds it there.
  package static func attach(
    _ program: Int32, to name: String, mode: AttachMode = .native
  ) throws(DataPlaneError) -> Int32 {
    var options = bpf_link_create_opts()
    options.sz = MemoryLayout<bpf_link_create_opts>.size
    options.flags = UInt32(mode == .native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE)
    let link = bpf_link_create(program, Int32(if_nametoindex(name)), BPF_XDP, &options)
    guard link < 0 else { return link }
    switch errno {
    case EBUSY, EEXIST:
      throw .interfaceTaken(name, by: ForeignProgram.on(if_nametoindex(name)))
    case EOPNOTSUPP: throw .nativeModeUnsupported(name)
    case ERANGE:
      throw .interfaceUnsuitable(
        name, reason: "the driver refuses XDP with its settings; lower its MTU to 1500")
    case let code: throw .from(code: code, doing: "attach to \(name)")
    }
  }

  /// Attaches a program on TC ingress, behind all that are there. Returns the descriptor that holds
  /// it there.
  static func attachToTC(_ program: Int32, to name: String) throws(DataPlaneError) -> Int32 {
    let link = bpf_link_create(
      program, Int32(if_nametoindex(name)), bpf_attach_type(UInt32(CBPF_TCX_INGRESS)), nil)
    guard link < 0 else { return link }
    let code = errno
    guard PlaneKind.isTCAvailable() else { throw .planeUnsupported(name) }
    throw .from(code: code, doing: "attach to \(name) on TC")
  }

  /// How the XDP program of an interface runs; nil: it has none.
  static func attachMode(of interface: UInt32) -> AttachMode? {
    switch Int(cbpf_attach_mode(Int32(interface))) {
    case XDP_ATTACHED_DRV, XDP_ATTACHED_HW: return .native
    case XDP_ATTACHED_SKB: return .generic
    default: return nil
    }
  }

  /// What kind of data plane a program is of; nil: of none.
  static func kind(of program: Int32) -> PlaneKind? {
    switch programInformation(program)?.type {
    case BPF_PROG_TYPE_XDP.rawValue: .xdp
    case BPF_PROG_TYPE_SCHED_CLS.rawValue: .tc
    default: nil
    }
  }

  static func programInformation(_ program: Int32) -> bpf_prog_info? {
    var information = bpf_prog_info()
    var length = UInt32(MemoryLayout<bpf_prog_info>.size)
    guard bpf_obj_get_info_by_fd(program, &information, &length) == 0 else { return nil }
    return information
  }

  /// The interface that a link is attached to (0: it is gone) and the number of its program.
  static func linkInformation(
    _ link: Int32
  ) throws(DataPlaneError) -> (interface: UInt32, program: UInt32) {
    var information = bpf_link_info()
    var length = UInt32(MemoryLayout<bpf_link_info>.size)
    guard bpf_obj_get_info_by_fd(link, &information, &length) == 0 else {
      throw .from(code: errno, doing: "look at a link of the data plane")
    }
    return (information.xdp.ifindex, information.prog_id)
  }

  func verifiedInstructions() -> Int {
    var info = bpf_prog_info()
    var length = UInt32(MemoryLayout<bpf_prog_info>.size)
    guard bpf_obj_get_info_by_fd(program, &info, &length) == 0 else { return 0 }
    return Int(info.verified_insns)
  }
}

/// A map of maps that exists to be updated: the kernel ends the update with an RCU grace period.
final class GracePeriod: Sendable {
  private let outer: Int32
  private let inner: Int32

  init() throws(DataPlaneError) {
    let inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, nil)
    guard inner >= 0 else { throw .from(code: errno, doing: "create a map") }
    var options = bpf_map_create_opts()
    options.sz = MemoryLayout<bpf_map_create_opts>.size
    options.inner_map_fd = UInt32(inner)
    let outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", 4, 4, 1, &options)
    guard outer >= 0 else {
      let code = errno
      close(inner)
      throw .from(code: code, doing: "create a map of maps")
    }
    (self.outer, self.inner) = (outer, inner)
  }

  deinit {
    close(outer)
    close(inner)
  }

  func wait() {
    var (key, value): (UInt32, Int32) = (0, inner)
    let code = bpf_map_update_elem(outer, &key, &value, UInt64(BPF_ANY))
    // Going on without the grace period could corrupt the directory.
    precondition(code == 0, "the kernel refused to wait for a grace period: \(errno)")
  }
}
