internal import CBPF
internal import Glibc

/// A veth's sender may hand over several datagrams as one (UDP_SEGMENT), which a program on TC would see as
/// one that is too long; it no longer does once the receiving end has an XDP program. So on TC such an
/// interface gets one that passes everything, unless somebody else's is there already. What comes from a
/// wire has been taken apart by the sender's device.
enum SeparatingProgram {
  /// Puts it on an interface; returns the link that holds it there, or nil: it is not needed, or not
  /// possible.
  static func attach(to name: String) -> Int32? {
    guard cbpf_is_driver(name, "veth") != 0 else { return nil }
    // r0 = XDP_PASS; exit
    let code: [UInt64] = [UInt64(XDP_PASS.rawValue) << 32 | 0xb7, 0x95]
    var options = bpf_prog_load_opts()
    options.sz = MemoryLayout<bpf_prog_load_opts>.size
    options.prog_flags = UInt32(BPF_F_XDP_HAS_FRAGS)
    let program = code.withUnsafeBytes { bytes in
      bpf_prog_load(
        BPF_PROG_TYPE_XDP, "hotrack_apart", "Apache-2.0",
        bytes.assumingMemoryBound(to: bpf_insn.self).baseAddress, code.count, &options)
    }
    guard program >= 0 else { return nil }
    defer { close(program) }
    return try? LoadedProgram.attach(program, to: name)
  }
}

extension PinDirectory {
  /// The name of the link that holds a `SeparatingProgram` on an interface.
  static func separating(_ interface: String, index: UInt32) -> String {
    "apart-\(interface.replacing(".", with: "_"))-\(index)"
  }

  /// Is this the name of a link?
  static func isLink(_ name: String) -> Bool {
    name.hasPrefix("link-") || name.hasPrefix("apart-")
  }
}

extension DataPlane {
  /// Returns the link, unless it is pinned.
  func separate(_ name: String, _ interface: UInt32) -> Int32? {
    guard let link = SeparatingProgram.attach(to: name) else { return nil }
    guard let pins else { return link }
    do {
      try pins.pin(link, as: PinDirectory.separating(name, index: interface))
    } catch {
      return link
    }
    close(link)
    return nil
  }

  func endSeparating(_ port: Port) {
    let pin = PinDirectory.separating(port.name, index: port.interface)
    let pinned = try? pins?.open(pin)
    for link in [port.separating, pinned].compactMap({ $0 }) {
      bpf_link_detach(link)
      close(link)
    }
    pins?.unpin(pin)
  }
}
