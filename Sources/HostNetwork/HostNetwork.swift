internal import CSockets
internal import Glibc

/// Why the kernel does not say something about its network configuration, or does not change it.
public struct HostNetworkError: Error, Sendable, Equatable, CustomStringConvertible {
  public var doing: String
  /// An errno.
  public var code: Int32

  public var description: String { "cannot \(doing): \(String(cString: strerror(code)))" }
}

/// Asks the kernel about the network namespace of the thread that has made this. Calls block until
/// the kernel has answered, which it does at once. Not thread-safe.
public final class HostNetwork {
  private let socket: NetlinkSocket
  private var sequence: UInt32 = 0

  public init() throws(HostNetworkError) { socket = try NetlinkSocket() }

  /// All neighbours, IPv4 and IPv6.
  public func neighbours() throws(HostNetworkError) -> [Neighbour] {
    // A kernel without IPv6 has no such table.
    let six = try? ask(Neighbour.list(family: AddressFamily.ipv6), doing: "list neighbours")
    let four = try ask(Neighbour.list(family: AddressFamily.ipv4), doing: "list neighbours")
    return (four + (six ?? [])).compactMap { Neighbour($0) }
  }

  /// The way to an address (4 or 16 bytes), by the interface of this index unless it is 0; nil: there
  /// is none.
  public func route(
    to address: [UInt8], interface: UInt32 = 0
  ) throws(HostNetworkError) -> Route? {
    do throws(HostNetworkError) {
      return try ask(Route.request(to: address, interface: interface), doing: "look up a route")
        .compactMap { Route($0) }.first
    } catch {
      switch error.code {
      case ENETUNREACH, EHOSTUNREACH, ENODEV, EINVAL, EAFNOSUPPORT: return nil
      default: throw error
      }
    }
  }

  /// An interface; nil: there is none of this name.
  public func link(named name: String) throws(HostNetworkError) -> Link? {
    do throws(HostNetworkError) {
      return try ask(Link.request(name: name), doing: "look at an interface").compactMap {
        Link($0)
      }
      .first
    } catch {
      if error.code == ENODEV || error.code == EINVAL || error.code == ERANGE { return nil }
      throw error
    }
  }

  /// The interface at the other end of a veth, wherever that is; nil: it has none, or this process may
  /// not look there.
  public func peer(of link: Link) -> Link? {
    guard link.isPair, let index = link.link else { return nil }
    let request = Link.request(index: index, namespace: link.linkNamespace)
    return (try? ask(request, doing: "look at an interface"))?.compactMap { Link($0) }.first
  }

  /// What the driver of an interface can do with XDP programs; nil: the kernel (before 6.3) does not say.
  public func xdpFeatures(of link: Link) -> XDPFeatures? {
    guard let generic = try? NetlinkSocket(isGeneric: true) else { return nil }
    func ask(_ message: NetlinkMessage) -> NetlinkMessage? {
      guard (try? generic.send(message, doing: "ask for XDP features")) != nil else { return nil }
      return (try? generic.receive(waiting: true, doing: "ask for XDP features"))?.first
    }
    guard let family = ask(XDPFeatures.familyRequest).flatMap(XDPFeatures.family(in:)),
      let answer = ask(XDPFeatures.request(family: family, interface: link.index))
    else { return nil }
    return XDPFeatures(answer, family: family)
  }

  /// All interfaces.
  public func links() throws(HostNetworkError) -> [Link] {
    try ask(Link.list, doing: "list interfaces").compactMap { Link($0) }
  }

  /// Has the kernel ask for a neighbour that it does not know, or is not sure of, as if a packet were
  /// sent there. What it knows goes on being used until the answer.
  public func resolve(_ address: [UInt8], interface: UInt32) throws(HostNetworkError) {
    _ = try ask(Neighbour.use(address, interface: interface), doing: "have a neighbour resolved")
  }

  /// As `resolve`, but the kernel forgets first what it knows, and so asks everybody.
  public func resolveAnew(_ address: [UInt8], interface: UInt32) throws(HostNetworkError) {
    _ = try ask(Neighbour.fail(address, interface: interface), doing: "forget a neighbour")
    try resolve(address, interface: interface)
  }

  private func ask(
    _ message: NetlinkMessage, doing: String
  ) throws(HostNetworkError) -> [NetlinkMessage] {
    sequence += 1
    var message = message
    message.sequence = sequence
    try socket.send(message, doing: doing)
    let isList = message.flags & NetlinkMessage.Flag.dump == NetlinkMessage.Flag.dump
    // The kernel has this meaning of the bits for lists alone.
    let isAcknowledged = !isList && message.flags & NetlinkMessage.Flag.acknowledge != 0
    var answers: [NetlinkMessage] = []
    while true {
      for answer in try socket.receive(waiting: true, doing: doing)
      where answer.sequence == sequence {
        switch answer.type {
        case NetlinkMessage.Kind.done: return answers
        case NetlinkMessage.Kind.error:
          let code = answer.body[...].native(0, as: Int32.self)
          guard code == 0 else { throw HostNetworkError(doing: doing, code: -code) }
          return answers
        default: answers.append(answer)
        }
      }
      if !isList, !isAcknowledged, !answers.isEmpty { return answers }
    }
  }
}

/// What the kernel tells of changes in the network namespace of the thread that has made this. Not
/// thread-safe.
public final class NetworkChanges {
  /// Something that has changed.
  public enum Change: Sendable, Equatable {
    case neighbour(Neighbour)
    case routes
    /// Some changes were lost: whatever was known has to be asked for again.
    case unknown
  }

  // RTMGRP_NEIGH, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE
  private static let groups: UInt32 = 0x4 | 0x40 | 0x400
  private let socket: NetlinkSocket
  /// Readable when there are changes.
  public var descriptor: Int32 { socket.descriptor }

  public init() throws(HostNetworkError) { socket = try NetlinkSocket(groups: Self.groups) }

  /// Everything that was told since the last call; does not wait.
  public func take() -> [Change] {
    var changes: [Change] = []
    while true {
      do throws(HostNetworkError) {
        let messages = try socket.receive(waiting: false, doing: "learn what has changed")
        if messages.isEmpty { return changes }
        for message in messages {
          if let neighbour = Neighbour(message) {
            changes.append(.neighbour(neighbour))
          } else if message.type == NetlinkMessage.Kind.newRoute
            || message.type == NetlinkMessage.Kind.deleteRoute
          {
            if changes.last != .routes { changes.append(.routes) }
          }
        }
      } catch {
        // ENOBUFS: there was no room for all of them.
        changes.append(.unknown)
        if error.code != ENOBUFS { return changes }
      }
    }
  }
}

/// A socket on which the kernel speaks rtnetlink.
private final class NetlinkSocket {
  let descriptor: Int32
  /// Longer than what the kernel puts into one datagram.
  private static let datagramLengthMax = 1 << 17
  /// Until the kernel counts as silent. Milliseconds.
  private static let patience: Int32 = 5_000
  private var buffer = [UInt8](repeating: 0, count: datagramLengthMax)

  init(isGeneric: Bool = false, groups: UInt32 = 0) throws(HostNetworkError) {
    descriptor = csockets_netlink_open(isGeneric ? 1 : 0, groups)
    guard descriptor >= 0 else {
      throw HostNetworkError(doing: "open a socket of rtnetlink", code: errno)
    }
    var length: Int32 = 1 << 20
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVBUF, &length, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func send(_ message: NetlinkMessage, doing: String) throws(HostNetworkError) {
    let bytes = message.encoded()
    guard Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count else {
      throw HostNetworkError(doing: doing, code: errno)
    }
  }

  /// The messages of the next datagram; none: there is none, and it was not to be waited for.
  func receive(waiting: Bool, doing: String) throws(HostNetworkError) -> [NetlinkMessage] {
    while true {
      let length = recv(descriptor, &buffer, buffer.count, 0)
      if length > 0 { return NetlinkMessage.messages(in: buffer[..<length]) }
      if length < 0, errno == EINTR { continue }
      guard errno == EAGAIN || errno == EWOULDBLOCK else {
        throw HostNetworkError(doing: doing, code: errno)
      }
      guard waiting else { return [] }
      var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&state, 1, Self.patience) != 0 else {
        throw HostNetworkError(doing: doing, code: ETIMEDOUT)
      }
    }
  }
}
