internal import CBPF
internal import Glibc

/// An XDP program on an interface that is not ours, as far as the kernel tells of it.
public struct ForeignProgram: Sendable, Equatable {
  /// What holds it on the interface.
  public enum Holder: Sendable, Equatable {
    /// The interface itself (`ip link set … xdp`).
    case interface
    /// The BPF link of this number: a process or a pin has it.
    case link(UInt32)
    /// libxdp's dispatcher, which runs several programs in turn.
    case dispatcher
  }

  /// The program's number (`bpftool prog show id NUMBER`).
  public var number: UInt32
  /// Of the program; at most 15 characters, empty if it has none or this process may not know.
  public var name: String
  public var holder: Holder

  package init(number: UInt32, name: String, holder: Holder) {
    self.number = number
    self.name = name
    self.holder = holder
  }

  /// What there is on an interface of this network namespace; nil: nothing.
  static func on(_ interface: UInt32) -> ForeignProgram? {
    let number = cbpf_attached_program(Int32(interface))
    guard number != 0 else { return nil }
    var name = ""
    let program = bpf_prog_get_fd_by_id(number)
    if program >= 0 {
      defer { close(program) }
      if var information = LoadedProgram.programInformation(program) {
        name = withUnsafeBytes(of: &information.name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
      }
    }
    let link = Self.link(of: number, on: interface)
    return ForeignProgram(
      number: number, name: name,
      holder: name == "xdp_dispatcher" ? .dispatcher : link.map { .link($0) } ?? .interface)
  }

  /// The number of the link that holds a program on an interface; nil: there is none, or this process
  /// may not know.
  private static func link(of program: UInt32, on interface: UInt32) -> UInt32? {
    var number: UInt32 = 0
    while bpf_link_get_next_id(number, &number) == 0 {
      let link = bpf_link_get_fd_by_id(number)
      guard link >= 0 else { continue }
      defer { close(link) }
      var information = bpf_link_info()
      var length = UInt32(MemoryLayout<bpf_link_info>.size)
      guard bpf_obj_get_info_by_fd(link, &information, &length) == 0,
        information.type == BPF_LINK_TYPE_XDP.rawValue, information.prog_id == program,
        information.xdp.ifindex == interface
      else { continue }
      return number
    }
    return nil
  }

  var text: String {
    "number \(number)" + (name.isEmpty ? "" : " (\(name))")
      + (holder == .dispatcher ? ", which runs programs for libxdp" : "")
  }

  /// The command that takes it off an interface.
  func wayOff(_ interface: String) -> String {
    switch holder {
    case .interface: "`ip link set \(interface) xdp off`"
    case .link(let number): "`bpftool link detach id \(number)`"
    case .dispatcher: "`xdp-loader unload \(interface) --all`"
    }
  }
}
