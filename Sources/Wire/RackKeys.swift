internal import CHotrack

/// The secret that a rack's directory, controller and servers share: what they say to each other
/// carries a tag under it (docs/protocol.md §12), so that nobody else can speak as one of them.
///
/// One key; or two, while one takes the place of the other: the first makes tags, and tags of both are taken. Text and
/// mirrors of a value do not show them.
public struct RackKeys: Sendable, Equatable {
  /// Which way a datagram goes: the tag of one is never that of the other.
  public enum Direction: Sendable {
    /// From the directory or its controller.
    case toServer
    /// To them, and through the directory to clients and other servers.
    case fromServer

    fileprivate var raw: UInt64 {
      switch self {
      case .toServer: UInt64(TAG_TO_SERVER.rawValue)
      case .fromServer: UInt64(TAG_FROM_SERVER.rawValue)
      }
    }
  }

  /// The 16 bytes of a key as two little-endian words.
  package struct Key: Sendable, Equatable {
    package let first: UInt64
    package let second: UInt64

    fileprivate init(_ bytes: some Sequence<UInt8>) {
      let words = Array(bytes).withUnsafeBytes {
        $0.loadUnaligned(as: (UInt64, UInt64).self)
      }
      (first, second) = (UInt64(littleEndian: words.0), UInt64(littleEndian: words.1))
    }

    fileprivate func tag(
      _ header: UnsafeRawPointer, _ direction: Direction
    ) -> UInt64 {
      tag_of(
        header.assumingMemoryBound(to: hotrack_header.self), first, second, direction.raw)
    }
  }

  /// Bytes of a key.
  public static let keyLength = 16

  /// Makes tags.
  package let making: Key
  /// Tags of this one are taken as well.
  package let takenToo: Key?

  /// From the bytes of a key file: 16, or 32 of two keys; nil: neither.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.keyLength || bytes.count == 2 * Self.keyLength else { return nil }
    making = Key(bytes.prefix(Self.keyLength))
    takenToo = bytes.count > Self.keyLength ? Key(bytes.suffix(Self.keyLength)) : nil
  }

  /// Puts the tag into the header that `datagram` begins with: the last change of it. Precondition: a
  /// header's length.
  public func sign(_ datagram: UnsafeMutableRawBufferPointer, _ direction: Direction) {
    precondition(datagram.count >= WireLimits.headerLength)
    guard let start = datagram.baseAddress else { return }
    datagram.storeBytes(
      of: making.tag(start, direction).bigEndian, toByteOffset: Self.tagOffset, as: UInt64.self)
  }

  /// As above, of an array.
  public func sign(_ datagram: inout [UInt8], _ direction: Direction) {
    datagram.withUnsafeMutableBytes { sign($0, direction) }
  }

  /// Whether a datagram begins with a header that carries the tag of one of the keys.
  public func areOf(_ datagram: UnsafeRawBufferPointer, _ direction: Direction) -> Bool {
    guard datagram.count >= WireLimits.headerLength, let start = datagram.baseAddress else {
      return false
    }
    let tag = UInt64(
      bigEndian: datagram.loadUnaligned(fromByteOffset: Self.tagOffset, as: UInt64.self))
    if tag == making.tag(start, direction) { return true }
    return takenToo.map { tag == $0.tag(start, direction) } ?? false
  }

  private static let tagOffset = 112
}

extension RackKeys: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// Not the keys.
  public var description: String { takenToo == nil ? "a rack key" : "two rack keys" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
