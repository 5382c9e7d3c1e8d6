public import Configuration
internal import DataPlane
internal import Glibc
internal import HostNetwork

/// Finds what keeps a rack's packets from flowing, before the operator has to. It changes nothing but
/// this: the kernel is asked to find neighbours that it does not know.
public enum Doctor {
  /// Looks at the host, at these interfaces and at what the rack file says (nil: none is given), in the
  /// network namespace of this thread. One-arm mode is assumed for a single interface without a file.
  public static func findings(interfaces: [String], rack: RackFile?) -> [Finding] {
    var findings = HostChecks().findings
    let network: HostNetwork
    do throws(HostNetworkError) {
      network = try HostNetwork()
    } catch {
      return findings + [Finding("netlink", nil, .bad, "\(error)")]
    }
    let isOneArm = rack.map { $0.mode == .oneArm } ?? (interfaces.count == 1)
    let programs = PinDirectory.attachedPrograms()
    for interface in interfaces {
      findings +=
        InterfaceChecks(
          interface, network, racks: programs, isOneArm: isOneArm,
          mayUseTC: rack?.plane != .xdp && PlaneKind.isTCAvailable(),
          mustUseTC: rack?.plane == .tc
        ).findings
      findings.append(sources(interface, isChecked: rack != nil))
    }
    if let rack { findings += RackChecks(rack: rack, network: network).findings }
    return findings
  }

  /// Strict filtering of sources drops packets that the kernel would not send back that way; with a
  /// rack file it is known whether that is so (`route`).
  private static func sources(_ interface: String, isChecked: Bool) -> Finding {
    let values = ["all", interface].map {
      Int(readText("/proc/sys/net/ipv4/conf/\($0)/rp_filter").trimmed) ?? 0
    }
    guard values.max() == 1, !isChecked else {
      return Finding("rp_filter", interface, .ok, values.max() == 1 ? "strict" : "not strict")
    }
    return Finding(
      "rp_filter", interface, .warning,
      "strict: answers of servers that the kernel reaches by another interface are dropped",
      fix: "name the rack file with --config to have its routes checked, or: "
        + "sysctl -w net.ipv4.conf.\(interface).rp_filter=2 net.ipv4.conf.all.rp_filter=2")
  }
}
