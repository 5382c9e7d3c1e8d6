internal import CBPF
internal import Glibc

/// The program of a rack that runs on this host, to be asked what it would do with a frame. It takes no
/// lock: the controller goes on.
public final class PinnedProgram {
  private let program: Int32
  private let kind: PlaneKind
  /// The interfaces that the program is attached to, by index, ascending.
  public let interfaces: [UInt32]

  /// The program of the rack of this name. Needs root, or what the controller has.
  public init(rack name: String) throws(DataPlaneError) {
    let path = PinDirectory.path(rack: name)
    let descriptor = bpf_obj_get("\(path)/program")
    guard descriptor >= 0 else {
      throw errno == EACCES || errno == EPERM
        ? .notPermitted(doing: "open \(path)/program")
        : .pins(path: "\(path)/program", doing: "open", code: errno)
    }
    program = descriptor
    let type = LoadedProgram.programInformation(descriptor)?.type
    kind = type == BPF_PROG_TYPE_XDP.rawValue ? .xdp : .tc
    // link-INTERFACE-INDEX
    interfaces = PinDirectory.names(in: path).filter(PinDirectory.isLink)
      .compactMap { $0.split(separator: "-").last.flatMap { UInt32($0) } }.sorted()
  }

  deinit { close(program) }

  /// What becomes of a frame that comes in by an interface, and how the program leaves it. Nothing is
  /// sent, but the directory changes as with a real packet: it counts.
  public func run(
    frame: [UInt8], ingress interface: UInt32
  ) throws(DataPlaneError) -> (action: FrameAction, frame: [UInt8]) {
    switch kind {
    case .xdp: try LoadedProgram.run(program, frame: frame, ingress: interface)
    case .tc: try LoadedProgram.runOnTC(program, frame: frame, ingress: interface)
    }
  }
}

extension PinDirectory {
  /// Whether the BPF file system is where it should be.
  package static var isFileSystemMounted: Bool { cbpf_is_file_system(fileSystem) != 0 }

  /// The programs of this host's racks that are attached somewhere: the rack by the program's number in
  /// the kernel. Without the rights to look, none.
  public static func attachedPrograms() -> [UInt32: String] {
    var programs: [UInt32: String] = [:]
    for rack in racks() {
      for name in names(in: path(rack: rack)) where isLink(name) {
        let link = bpf_obj_get("\(path(rack: rack))/\(name)")
        guard link >= 0 else { continue }
        defer { close(link) }
        if let information = try? LoadedProgram.linkInformation(link) {
          programs[information.program] = rack
        }
      }
    }
    return programs
  }
}
