internal import CBPF
internal import CHotrack
internal import Configuration
internal import DataPlane
internal import Glibc

/// The programs of `bpf/testbed/link.bpf.c` at a node's end of its link. They stay with the
/// interface until they are taken off, whoever has put them there: any later command finds them.
struct LinkPrograms {
  /// Frames of one direction, since the programs are there.
  struct Counts: Sendable, Equatable {
    var seen = 0
    var lost = 0
    var duplicated = 0
    var delayed = 0
  }

  let node: TestbedLayout.Node

  /// The interface by which frames take the way through the relay.
  var relayInterface: String { TestbedLayout.relayInterface(of: node) }

  /// Puts the programs there, unless they are there already. No frame is treated otherwise yet.
  func attach() throws(TestbedError) {
    let node = node
    try inside { () throws(LinkFailure) in
      if let maps = LinkMaps.find(node.interface) {
        maps.release()
        return
      }
      let loaded = try Self.load(for: node)
      try Self.attach(loaded.program("link_to"), to: node.interface, at: BPF_TC_INGRESS)
      try Self.attach(loaded.program("link_from"), to: node.interface, at: BPF_TC_EGRESS)
    }
  }

  /// Has what the relay gives back go on; the relay's interface is there.
  func attachRelay() throws(TestbedError) {
    let (node, relay) = (node, relayInterface)
    try inside { () throws(LinkFailure) in
      let loaded = try Self.load(for: node)
      try Self.attach(loaded.program("link_back"), to: relay, at: BPF_TC_INGRESS)
    }
  }

  /// What happens to frames from now on; the programs are there, and the relay if one is delayed.
  func set(to: LinkFault?, from: LinkFault?) throws(TestbedError) {
    let (node, relayName) = (node, relayInterface)
    try inside { () throws(LinkFailure) in
      guard let maps = LinkMaps.find(node.interface) else {
        throw LinkFailure("find the link's programs", ENOENT)
      }
      defer { maps.release() }
      for (direction, fault) in [(LINK_TO, to), (LINK_FROM, from)] {
        var (key, raw) = (direction.rawValue, link_fault(fault))
        if fault?.isDelayed == true { raw.relay = if_nametoindex(relayName) }
        let code = bpf_map_update_elem(maps.faults, &key, &raw, 0)
        guard code == 0 else { throw LinkFailure("set what happens to frames", -code) }
      }
    }
  }

  /// What happens to frames now, and what has happened to them; nil: no programs are there.
  func state() throws(TestbedError) -> LinkState? {
    let node = node
    return try inside { () throws(LinkFailure) in
      guard let maps = LinkMaps.find(node.interface) else { return nil }
      defer { maps.release() }
      return try maps.state()
    }
  }

  /// Takes the programs off.
  func detach() throws(TestbedError) {
    let node = node
    try inside { () throws(LinkFailure) in
      var hook = Self.hook(
        node.interface,
        bpf_tc_attach_point(rawValue: BPF_TC_INGRESS.rawValue | BPF_TC_EGRESS.rawValue))
      quietly()
      let code = bpf_tc_hook_destroy(&hook)
      guard code == 0 || code == -ENOENT || code == -EINVAL else {
        throw LinkFailure("take the programs off \(node.interface)", -code)
      }
    }
  }

  /// To be called in the node's namespace.
  private static func load(
    for node: TestbedLayout.Node
  ) throws(LinkFailure) -> LoadedProgram {
    let loaded: LoadedProgram
    do throws(DataPlaneError) {
      loaded = try LoadedProgram(.link, function: "link_to", elements: [:])
    } catch {
      throw LinkFailure(text: "\(error)")
    }
    var (key, place) = (UInt32(0), link_place())
    place.interface = if_nametoindex(node.interface)
    withUnsafeMutableBytes(of: &place.mac) { $0.copyBytes(from: node.mac.bytes) }
    guard bpf_map_update_elem(loaded.map("link_places"), &key, &place, 0) == 0 else {
      throw LinkFailure("describe the link", errno)
    }
    return loaded
  }

  private static func attach(
    _ program: Int32, to interface: String, at point: bpf_tc_attach_point
  ) throws(LinkFailure) {
    var hook = Self.hook(interface, point)
    quietly()
    let created = bpf_tc_hook_create(&hook)
    guard created == 0 || created == -EEXIST else {
      throw LinkFailure("prepare \(interface) for programs (is clsact in this kernel?)", -created)
    }
    var options = bpf_tc_opts.first
    options.prog_fd = program
    let code = bpf_tc_attach(&hook, &options)
    guard code == 0 else { throw LinkFailure("attach a program to \(interface)", -code) }
  }

  fileprivate static func hook(_ interface: String, _ point: bpf_tc_attach_point) -> bpf_tc_hook {
    var hook = bpf_tc_hook()
    hook.sz = sizeToLast(\bpf_tc_hook.parent)
    hook.ifindex = Int32(bitPattern: if_nametoindex(interface))
    hook.attach_point = point
    return hook
  }

  private func inside<Value: Sendable>(
    _ body: @escaping @Sendable () throws(LinkFailure) -> Value
  ) throws(TestbedError) -> Value {
    let result = try NamespaceSettings.perform(in: node.namespace) {
      Result { () throws(LinkFailure) in try body() }
    }
    do throws(LinkFailure) {
      return try result.get()
    } catch {
      throw .run("in namespace \(node.namespace): \(error.text)")
    }
  }
}

/// What the programs of a link say of themselves.
struct LinkState: Sendable, Equatable {
  /// Nil: frames of this direction are left alone.
  var to: LinkFault?
  var from: LinkFault?
  var toCounts: LinkPrograms.Counts
  var fromCounts: LinkPrograms.Counts
}

/// Why the kernel did not do what was to be done to a link.
struct LinkFailure: Error {
  let text: String

  init(text: String) { self.text = text }
  init(_ doing: String, _ code: Int32) { text = "cannot \(doing): \(reason(code))" }
}

/// The maps of the programs at a link's end, as descriptors of this process.
struct LinkMaps {
  let faults: Int32
  let counts: Int32

  /// Those of the program at the interface's ingress; nil: there is none of ours. To be called in
  /// the interface's namespace.
  static func find(_ interface: String) -> LinkMaps? {
    var hook = LinkPrograms.hook(interface, BPF_TC_INGRESS)
    var options = bpf_tc_opts.first
    quietly()
    guard bpf_tc_query(&hook, &options) == 0 else { return nil }
    let program = bpf_prog_get_fd_by_id(options.prog_id)
    guard program >= 0 else { return nil }
    defer { close(program) }
    var identifiers = [UInt32](repeating: 0, count: 8)
    let found = identifiers.withUnsafeMutableBufferPointer { identifiers in
      var information = bpf_prog_info()
      var length = UInt32(MemoryLayout<bpf_prog_info>.size)
      information.nr_map_ids = UInt32(identifiers.count)
      information.map_ids = UInt64(UInt(bitPattern: identifiers.baseAddress))
      return bpf_obj_get_info_by_fd(program, &information, &length) == 0
        ? Int(information.nr_map_ids) : 0
    }
    var maps: [String: Int32] = [:]
    for identifier in identifiers.prefix(found) {
      let map = bpf_map_get_fd_by_id(identifier)
      guard map >= 0 else { continue }
      var information = bpf_map_info()
      var length = UInt32(MemoryLayout<bpf_map_info>.size)
      bpf_obj_get_info_by_fd(map, &information, &length)
      let name = withUnsafeBytes(of: &information.name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if let former = maps.updateValue(map, forKey: name) { close(former) }
    }
    if let places = maps.removeValue(forKey: "link_places") { close(places) }
    guard let faults = maps["link_faults"], let counts = maps["link_counts"] else {
      maps.values.forEach { close($0) }
      return nil
    }
    return LinkMaps(faults: faults, counts: counts)
  }

  func release() {
    for descriptor in [faults, counts] { close(descriptor) }
  }

  func state() throws(LinkFailure) -> LinkState {
    var found: [(fault: LinkFault?, counts: LinkPrograms.Counts)] = []
    for direction in [LINK_TO, LINK_FROM] {
      var (key, fault, count) = (direction.rawValue, link_fault(), link_count())
      guard bpf_map_lookup_elem(faults, &key, &fault) == 0,
        bpf_map_lookup_elem(counts, &key, &count) == 0
      else { throw LinkFailure("read what happens to frames", errno) }
      found.append(
        (
          LinkFault(fault),
          LinkPrograms.Counts(
            seen: Int(count.seen), lost: Int(count.lost), duplicated: Int(count.duplicated),
            delayed: Int(count.delayed))
        ))
    }
    return LinkState(
      to: found[0].fault, from: found[1].fault, toCounts: found[0].counts,
      fromCounts: found[1].counts)
  }
}

extension bpf_tc_opts {
  /// The one filter that we put at a hook.
  fileprivate static var first: bpf_tc_opts {
    var options = bpf_tc_opts()
    options.sz = sizeToLast(\bpf_tc_opts.priority)
    options.handle = 1
    options.priority = 1
    return options
  }
}

extension link_fault {
  init(_ fault: LinkFault?) {
    self.init()
    guard let fault else { return }
    cut = fault.isCut ? 1 : 0
    loss = Self.share(fault.loss)
    duplicate = Self.share(fault.duplicate)
    delay = UInt32(fault.delay * 1e3)
    jitter = UInt32(fault.jitter * 1e3)
    reorder = Self.share(fault.reorder)
  }

  private static func share(_ share: Double) -> UInt32 {
    UInt32((share * Double(LINK_SHARE_WHOLE)).rounded())
  }
}

extension LinkFault {
  /// Nil: nothing happens.
  init?(_ raw: link_fault) {
    self.init()
    func share(_ raw: UInt32) -> Double { Double(raw) / Double(LINK_SHARE_WHOLE) }
    isCut = raw.cut != 0
    (loss, duplicate, reorder) = (share(raw.loss), share(raw.duplicate), share(raw.reorder))
    (delay, jitter) = (Double(raw.delay) / 1e3, Double(raw.jitter) / 1e3)
    if problem != nil { return nil }
  }
}

/// The size of options without what pads them, which is not zero as libbpf wants the rest to be.
private func sizeToLast<Options>(_ last: KeyPath<Options, UInt32>) -> Int {
  (MemoryLayout<Options>.offset(of: last) ?? 0) + MemoryLayout<UInt32>.size
}

/// Keeps libbpf from telling the terminal what its return value says as well.
private func quietly() {
  _ = libbpf_set_print { _, _, _ in 0 }
}
