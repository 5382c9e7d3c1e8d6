/// Why packets cannot be captured or read, and what to do about it.
public enum CaptureError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file cannot be opened or is no capture; libpcap's words.
  case unreadableFile(String, reason: String)
  /// The file is damaged somewhere behind its start; what was read until then counts.
  case damagedFile(String, reason: String)
  /// There is no such interface here.
  case noSuchInterface(String)
  case interfaceDown(String)
  /// This process may not capture.
  case notPermitted(interface: String)
  /// The filter is not one.
  case invalidFilter(String, reason: String)
  /// The kernel or libpcap refuse something else.
  case refused(doing: String, reason: String)

  public var description: String {
    switch self {
    case .unreadableFile(let file, let reason):
      "cannot read \(file): \(reason); it must be a capture as `tcpdump -w` writes it (pcap or pcapng)"
    case .damagedFile(let file, let reason):
      "\(file) is damaged: \(reason); what stands before that was taken"
    case .noSuchInterface(let name):
      "there is no interface \(name): `ip link` lists those there are (`any` means all of them)"
    case .interfaceDown(let name):
      "the interface \(name) is down: `ip link set \(name) up`"
    case .notPermitted(let interface):
      """
      not permitted to capture on \(interface): run as root, or give the program the right with \
      `setcap cap_net_raw+ep /path/to/hotrack`
      """
    case .invalidFilter(let filter, let reason):
      "\"\(filter)\" is no filter: \(reason); `man pcap-filter` has the language"
    case .refused(let doing, let reason): "cannot \(doing): \(reason)"
    }
  }
}
