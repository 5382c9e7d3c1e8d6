internal import ControllerCore
internal import Directory
internal import Wire

/// The directory of a simulated rack: where the data plane's text decides.
extension RackWorld {
  private static let versionOffset = 24
  private static let returnPathOffset = 40
  private static let statusOffset = 4

  func arriveAtDirectory(_ datagram: [UInt8], from: RackEndpoint) {
    switch from {
    case .client(let number): requestAtDirectory(datagram, client: number)
    case .server(let number): reportAtDirectory(datagram, server: number)
    default: break
    }
  }

  private func requestAtDirectory(_ datagram: [UInt8], client: Int) {
    var datagram = datagram
    sample(datagram)
    let decision = datagram.withUnsafeMutableBytes { memory.handle($0, from: .client) }
    switch decision.verdict {
    case .steer(let server):
      let isRead = datagram[3] == Operation.get.rawValue
      if let entry = decision.entry {
        watch.count(entry, isRead: isRead)
        if isRead, watch.homes[Int(entry)] != server { result.coverage.hotReadsAway += 1 }
      }
      datagram.withUnsafeMutableBytes { bytes in
        bytes.storeBytes(
          of: UInt64(client + 1).bigEndian, toByteOffset: Self.returnPathOffset, as: UInt64.self)
        if isRead && !scenario.demandsVersions {
          bytes.storeBytes(of: 0, toByteOffset: Self.versionOffset, as: UInt64.self)
        }
      }
      send(datagram, from: .directory, to: .server(Int(server)))
    case .answer:
      // It is cut to the header, as the data plane does.
      datagram.removeSubrange(WireLimits.headerLength...)
      if let header = Self.header(of: datagram) { result.coverage.count(header) }
      send(datagram, from: .directory, to: .client(client))
    default: break
    }
  }

  private func reportAtDirectory(_ datagram: [UInt8], server: Int) {
    var datagram = datagram
    if let header = Self.header(of: datagram) { result.coverage.count(header) }
    let returnPath = datagram.withUnsafeBytes {
      UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: Self.returnPathOffset, as: UInt64.self))
    }
    let decision = datagram.withUnsafeMutableBytes {
      memory.handle($0, from: .server(UInt8(server)))
    }
    if let entry = decision.entry { checkEntry(entry) }
    switch decision.verdict {
    case .steer(let target): send(datagram, from: .directory, to: .server(Int(target)))
    case .forward:
      noteForwarded(datagram)
      if returnPath > 0 { send(datagram, from: .directory, to: .client(Int(returnPath) - 1)) }
    case .toController:
      guard let message = try? Message(datagram: datagram) else { return }
      give(.received(message, server: UInt8(server)))
    default: break
    }
  }

  /// What clients are shown, the completed version must not be below.
  private func noteForwarded(_ datagram: [UInt8]) {
    guard let header = Self.header(of: datagram) else { return }
    if header.status == .otherKey { give(.otherKeySeen(keyHash: header.keyHash)) }
    guard header.status == .ok || header.status == .notFound else { return }
    watch.shown(header.keyHash, header.version)
    if let entry = watch.place(of: header.keyHash) { checkEntry(entry) }
  }

  private func sample(_ datagram: [UInt8]) {
    guard scenario.isAutomatic, watch.takesSample(), let message = try? Message(datagram: datagram)
    else { return }
    give(
      .sample(
        keyHash: message.header.keyHash, key: message.key, operation: message.header.operation,
        weight: watch.sampleInterval))
  }

  static func header(of datagram: [UInt8]) -> Header? {
    datagram.withUnsafeBytes { try? Header(datagram: $0) }
  }
}
