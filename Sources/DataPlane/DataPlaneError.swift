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
  case interfaceTaken(String, by: ForeignProgram?)
  /// The interface's driver cannot run XDP programs itself.
  case nativeModeUnsupported(String)
  /// This kernel has no tcx.
  case planeUnsupported(String)
  /// The interface's settings do not allow XDP: usually its MTU.
  case interfaceUnsuitable(String, reason: String)
  case interfaceNotAttached(String)
  /// There is no room for another port.
  case tooManyPorts
  /// The configuration contradicts itself or asks for what is not built.
  case configuration(String)
  /// Something in the BPF file system cannot be had.
  case pins(path: String, doing: String, code: Int32)
  /// Another controller has this rack.
  case pinsTaken(path: String, process: Int32?)
  /// The memory of the running data plane is arranged in another way than this program's.
  case anotherLayout(path: String, reason: String)
  /// What is kept under the rack's name is another rack.
  case anotherRack(path: String, reason: String)
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
    case .interfaceTaken(let name, let program):
      """
      another XDP program is attached to \(name)\(program.map { ": \($0.text)" } ?? ""). An interface \
      has room for one. Take it off (\(program?.wayOff(name) ?? "`ip link set \(name) xdp off`")) or \
      stop its owner; or let both run: with `plane = "tc"` under [directory] the rack's program comes \
      behind it, and gets the packets that it passes
      """
    case .nativeModeUnsupported(let name):
      """
      \(name) cannot run XDP programs, neither in its driver nor in generic mode: use another \
      interface, or attach to the ports of a bridge or bond instead of itself
      """
    case .planeUnsupported(let name):
      """
      cannot attach to \(name) on TC: that needs Linux \(PlaneKind.oldestKernelOfTC.0).\
      \(PlaneKind.oldestKernelOfTC.1) or newer; say `plane = "xdp"` under [directory]
      """
    case .interfaceUnsuitable(let name, let reason):
      "cannot attach to \(name): \(reason)"
    case .interfaceNotAttached(let name):
      "the data plane is not attached to \(name)"
    case .tooManyPorts:
      "there is no room for another port: detach one"
    case .configuration(let what):
      what
    case .pins(let path, let doing, let code):
      """
      cannot \(doing) \(path) (\(String(cString: strerror(code)))): the data plane is kept there \
      while no controller runs; see whether a BPF file system is mounted (`mount -t bpf bpf \
      \(PinDirectory.fileSystem)`) and this user may write there
      """
    case .pinsTaken(let path, let process):
      """
      another controller\(process.map { " (process \($0))" } ?? "") runs this rack: it holds \
      \(path); stop it first
      """
    case .anotherLayout(let path, let reason):
      """
      the running data plane (\(path)) cannot be taken over: \(reason). Go on with the version and \
      configuration that started it; or give its state up: `hotrack detach \(Self.name(path))`, \
      restart the servers, and start the controller again
      """
    case .anotherRack(let path, let reason):
      """
      the running data plane (\(path)) is another rack's: \(reason). Give this rack another name; \
      or take that one away: `hotrack detach \(Self.name(path))`
      """
    case .kernel(let doing, let code, let log):
      "cannot \(doing): \(String(cString: strerror(code)))" + (log.isEmpty ? "" : "\n\(log)")
    }
  }

  /// The rack that has this directory.
  private static func name(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
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
    isOlder(kernelRelease: release, than: oldestKernel) ? .kernelTooOld(release: release) : nil
  }

  /// False also if the release does not tell.
  static func isOlder(kernelRelease release: String, than version: (Int, Int)) -> Bool {
    let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
    return numbers.count == 2 && (numbers[0], numbers[1]) < version
  }
}
