internal import CBPF
internal import Glibc
internal import Sockets

/// What is set inside a namespace apart from addresses and routes.
enum NamespaceSettings {
  /// No forwarding and no filtering of sources by the kernel (the XDP program forwards), and no IPv6,
  /// unless the rack is on it (its neighbour discovery would be the only traffic that is not ours).
  private static let switches: [(path: String, value: String)] = [
    ("/proc/sys/net/ipv4/ip_forward", "0"),
    ("/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
    ("/proc/sys/net/ipv4/conf/default/rp_filter", "0"),
  ]
  private static let withoutIPv6: [(path: String, value: String)] = [
    ("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"),
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
  ]

  /// To be called before interfaces are up.
  static func setSwitches(namespace: String, isIPv6: Bool) throws(TestbedError) {
    try inside(namespace) {
      for (path, value) in switches + (isIPv6 ? [] : withoutIPv6) {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        // A kernel without IPv6 needs no telling.
        if file < 0, errno == ENOENT { continue }
        let written = file < 0 ? -1 : write(file, value, value.utf8.count)
        let code = errno
        if file >= 0 { close(file) }
        guard written == value.utf8.count else { return "cannot set \(path): \(reason(code))" }
      }
      return nil
    }
  }

  /// Puts an XDP program that passes everything on the end of a link in a node's namespace. Without
  /// one, frames that the directory's program sends into the link are lost in silence: redirected
  /// ones if that end has no generic receive offload either, returned ones (`XDP_TX`) always.
  static func attachPassProgram(namespace: String, interface: String) throws(TestbedError) {
    try inside(namespace) {
      attachPass(interface).map { code in
        "cannot attach an XDP program to \(interface): \(reason(code))"
      }
    }
  }

  /// Has the kernel take apart what a node's server has joined for one client (UDP_SEGMENT) before it
  /// enters the link: a program on TC would see one datagram that is too long. Of a link whose other
  /// end has an XDP program it does so anyway.
  static func sendOneByOne(namespace: String, interface: String) throws(TestbedError) {
    _ = try run([
      "nsenter", "--net=/run/netns/\(namespace)",
      "ethtool", "-K", interface, "tx-udp-segmentation", "off",
    ])
  }

  /// Runs `body` in the namespace; it returns what went wrong.
  private static func inside(
    _ namespace: String, _ body: @escaping @Sendable () -> String?
  ) throws(TestbedError) {
    if let failure = try perform(in: namespace, body) {
      throw .run("in namespace \(namespace): \(failure)")
    }
  }

  /// Runs `body` in the namespace and returns its result.
  static func perform<Value: Sendable>(
    in namespace: String, _ body: @escaping @Sendable () -> Value
  ) throws(TestbedError) -> Value {
    do throws(SocketError) {
      return try NetworkNamespace(namespace).perform { () throws(SocketError) in body() }
    } catch {
      throw .run("\(error)")
    }
  }

  /// Returns an error number, or nil. The program stays as long as the interface.
  private static func attachPass(_ interface: String) -> Int32? {
    // r0 = XDP_PASS; exit
    let code: [UInt64] = [UInt64(XDP_PASS.rawValue) << 32 | 0xb7, 0x95]
    let program = code.withUnsafeBytes { bytes in
      bpf_prog_load(
        BPF_PROG_TYPE_XDP, "hotrack_pass", "Apache-2.0",
        bytes.assumingMemoryBound(to: bpf_insn.self).baseAddress, code.count, nil)
    }
    guard program >= 0 else { return -program }
    defer { close(program) }
    let attached = bpf_xdp_attach(
      Int32(if_nametoindex(interface)), program, UInt32(XDP_FLAGS_DRV_MODE), nil)
    return attached == 0 ? nil : -attached
  }
}
