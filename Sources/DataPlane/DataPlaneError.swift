internal import CBPF
internal import Glibc

/// Why the data plane cannot be had, and what to do about it.
public enum DataPlaneError: Error, Equatable, Sendable, CustomStringConvertible {
  /// This process lacks capabilities.
  case notPermitted(doing: String)
  /// The running kernel is older than the program needs.
  case kernelTooOld(release: String)
  case noSuchInterface(String)
  /// Another XDP program is attached to the interface.
  case interfaceTaken(String)
  /// The interface's driver cannot run XDP programs itself.
  case nativeModeUnsupported(String)
  /// The interface's settings do not allow XDP: usually its MTU.
  case interfaceUnsuitable(String, reason: String)
  case interfaceNotAttached(String)
  /// There is no room for another port.
  case tooManyPorts
  /// The configuration contradicts itself or asks for what is not built.
  case configuration(String)
  /// The kernel refused something that it should not; `log` has its last words.
  case kernel(doing: String, code: Int32, log: String)

  /// The oldest kernel that has all the program uses (multi-buffer XDP, `bpf_xdp_load_bytes`).
  static let oldestKernel = (5, 18)

  /// What is wrong, and what the reader can do.
  public var description: String {
    switch self {
    case .notPermitted(let doing):
      """
      not permitted to \(doing): run as root, or give the executable the capabilities with \
      `setcap cap_bpf,cap_net_admin,cap_perfmon+ep`
      """
    case .kernelTooOld(let release):
      """
      the kernel is \(release), and the data plane needs \
      \(Self.oldestKernel.0).\(Self.oldestKernel.1) or newer: boot a newer kernel
      """
    case .noSuchInterface(let name):
      "there is no interface \(name) in this network namespace: `ip link` lists those there are"
    case .interfaceTaken(let name):
      """
      another XDP program is attached to \(name): see it with `ip link show \(name)`, take it off \
      with `ip link set \(name) xdp off` or stop its owner
      """
    case .nativeModeUnsupported(let name):
      """
      the driver of \(name) cannot run XDP programs (native mode): use an interface whose driver \
      can, such as veth, or attach to the ports of a bridge or bond instead of itself
      """
    case .interfaceUnsuitable(let name, let reason):
      "cannot attach to \(name): \(reason)"
    case .interfaceNotAttached(let name):
      "the data plane is not attached to \(name)"
    case .tooManyPorts:
      "there is no room for another port: detach one"
    case .configuration(let what):
      what
    case .kernel(let doing, let code, let log):
      "cannot \(doing): \(String(cString: strerror(code)))" + (log.isEmpty ? "" : "\n\(log)")
    }
  }

  /// The error for a failed system call.
  package static func from(
    code: Int32, doing: String, log: String = ""
  ) -> DataPlaneError {
    code == EPERM || code == EACCES && log.isEmpty
      ? .notPermitted(doing: doing) : .kernel(doing: doing, code: code, log: log)
  }

  /// Nil if this kernel will do.
  static func check(kernelRelease release: String) -> DataPlaneError? {
    let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
    guard numbers.count == 2, (numbers[0], numbers[1]) < oldestKernel else { return nil }
    return .kernelTooOld(release: release)
  }
}
