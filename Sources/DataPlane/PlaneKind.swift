internal import Glibc
internal import HostNetwork

/// Where in the kernel the data plane meets its packets. The directory, its memory and what becomes
/// of each packet are the same.
public enum PlaneKind: String, Sendable, CaseIterable {
  /// XDP: in the driver, or where the driver cannot, in the stack's imitation of one.
  case xdp
  /// TC ingress, behind XDP: for each packet the kernel has made an skb, which costs; in return it
  /// sends out of any interface. Needs Linux 6.6 (tcx).
  case tc
}

/// What the drivers of a rack's interfaces say about XDP.
public struct DriverSupport: Sendable, Equatable {
  /// Programs can run in the driver.
  public var runsPrograms: Bool
  /// A frame that a program redirects to the interface, or sends back out of it, leaves it.
  public var sendsRedirected: Bool

  package init(runsPrograms: Bool, sendsRedirected: Bool) {
    self.runsPrograms = runsPrograms
    self.sendsRedirected = sendsRedirected
  }

  /// Of an interface of this network namespace; nil: the kernel does not tell (before Linux 6.3), or
  /// there is no such interface.
  public static func of(interface name: String) -> DriverSupport? {
    guard let network = try? HostNetwork(), let link = (try? network.link(named: name)) ?? nil,
      let features = network.xdpFeatures(of: link)
    else { return nil }
    // A veth pair says at any time whether its other end takes frames, while some drivers say
    // so only of an interface that has a program.
    return DriverSupport(
      runsPrograms: features.contains(.native),
      sendsRedirected: !link.isPair || features.contains(.transmit))
  }
}

extension PlaneKind {
  /// As people write it.
  var name: String {
    switch self {
    case .xdp: "XDP"
    case .tc: "TC"
    }
  }

  /// This version's program, for a rack on IPv6 or on IPv4.
  func image(isIPv6: Bool) -> BPFObject {
    switch self {
    case .xdp: isIPv6 ? .rackIpv6 : .rack
    case .tc: isIPv6 ? .rackTcIpv6 : .rackTc
    }
  }

  /// Which one suits these interfaces, and, if it is not XDP, why.
  public static func suiting(_ interfaces: [String]) -> (kind: PlaneKind, reason: String?) {
    guard isTCAvailable() else { return (.xdp, nil) }
    return suiting(interfaces.map { ($0, DriverSupport.of(interface: $0)) })
  }

  static func suiting(
    _ interfaces: [(name: String, support: DriverSupport?)]
  ) -> (kind: PlaneKind, reason: String?) {
    for (name, support) in interfaces {
      guard let support else { continue }
      if !support.runsPrograms {
        return (.tc, "the driver of \(name) cannot run XDP programs")
      }
      if !support.sendsRedirected {
        return (
          .tc,
          "XDP frames sent to \(name) would be lost: the other end of this veth pair has neither "
            + "generic receive offload (`ethtool -K PEER gro on`) nor an XDP program"
        )
      }
    }
    return (.xdp, nil)
  }

  /// Whether this kernel has tcx.
  package static func isTCAvailable() -> Bool {
    var names = utsname()
    uname(&names)
    let release = withUnsafeBytes(of: &names.release) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return !DataPlaneError.isOlder(kernelRelease: release, than: oldestKernelOfTC)
  }

  /// The oldest kernel with tcx.
  static let oldestKernelOfTC = (6, 6)
}
